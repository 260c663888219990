// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/golden"
)

// TestFromIstioTest imports every file of testdata/istio-test and compares what is written and
// told. A file that says so in its name is refused; all others give a topology that loads.
func TestFromIstioTest(t *testing.T) {
	t.Parallel()
	for _, file := range globOf(t, "testdata/istio-test/*.json") {
		base := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			imported, notes, err := FromIstioTest(filepath.Base(file), readOf(t, file), "imported")
			if strings.HasPrefix(base, "wrong-") {
				if err == nil {
					t.Fatal("it is accepted")
				}
				golden.Check(t, strings.TrimSuffix(file, ".json")+".golden", err.Error()+"\n")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := imported.File("Written from " + filepath.Base(file) + ".")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(file, text); err != nil {
				t.Errorf("what is written does not load:\n%v", err)
			}
			told := string(text) + "---\n"
			for _, note := range notes {
				told += "note: " + note.String() + "\n"
			}
			golden.Check(t, strings.TrimSuffix(file, ".json")+".golden", told)
		})
	}
}
