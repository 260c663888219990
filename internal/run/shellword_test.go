// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"os/exec"
	"testing"

	"github.com/meshfed/meshfed/internal/run"
)

// TestShellWord: a shell reads every word as what it was.
func TestShellWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"topology.yaml": "topology.yaml", "a=b,c@d:e%f+g": "a=b,c@d:e%f+g", "": "''", "a b": "'a b'",
		"it's": `'it'\''s'`, "$HOME": "'$HOME'", "a;b": "'a;b'", "*": "'*'", "~": "'~'", "a\nb": "'a\nb'", "`x`": "'`x`'", `\`: `'\'`,
	} {
		if got := run.ShellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+run.ShellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q comes through a shell as %q: %v", word, out, err)
		}
	}
}
