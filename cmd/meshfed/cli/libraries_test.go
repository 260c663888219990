// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// TestWhereLibrariesWrite: nowhere, or to stderr with -v.
func TestWhereLibrariesWrite(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want bool
	}{"quietly": {[]string{"version"}, false}, "with -v": {[]string{"version", "-v"}, true}} {
		var stderr bytes.Buffer
		l := &Libraries{} // as CatchLibraries makes it; loggers are the process's
		if code := Run(context.WithoutCancel(t.Context()), tc.args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &stderr, Libraries: l}); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		_, _ = l.Write([]byte("broken pipe; Authorization: Bearer abcdefghijklmnop\n"))
		if got := strings.Contains(stderr.String(), "broken pipe"); got != tc.want || strings.Contains(stderr.String(), "abcdefgh") {
			t.Errorf("%s: %q", name, stderr.String())
		}
	}
	var log bytes.Buffer
	l := &Libraries{}
	l.also(&log)
	if _, _ = l.Write([]byte("broken pipe\n")); log.String() != "broken pipe\n" {
		t.Errorf("%q", log.String())
	}
	(*Libraries)(nil).also(&log)
}
