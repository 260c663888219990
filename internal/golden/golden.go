// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//nolint:gochecknoglobals // how the flag package works
var update = flag.Bool("update", false, "write the golden files anew")

// Updating says whether this run writes golden files, so that what was embedded may be stale.
func Updating() bool { return *update }

// Check fails a test when what it got is not what a file says; with -update it writes the file.
func Check[T ~string | ~[]byte](t testing.TB, file string, got T) {
	t.Helper()
	if *update {
		write(t, file, string(got))
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s changed (-want +got); when that is meant, -update writes it:\n%s", file, diff)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
