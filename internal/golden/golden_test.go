// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }

// TestCheck says what changed, and writes it only when it is told to. It is not parallel: the flag is
// that of the whole program.
func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "a.txt")
	was := *update
	defer func() { *update = was }()
	for _, step := range []struct {
		write bool
		got   string
		want  string
	}{
		{true, "one\n", ""}, {false, "one\n", ""}, {false, "two\n", "a.txt changed"}, {false, "one\n", ""},
		{true, "two\n", ""}, {false, "two\n", ""},
	} {
		*update = step.write
		r := &recorder{TB: t}
		Check(r, file, step.got)
		if Updating() != step.write || (r.said == "") != (step.want == "") || !strings.Contains(r.said, step.want) {
			t.Errorf("%+v: %q", step, r.said)
		}
	}
}
