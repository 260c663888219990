// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

// TestPlanFile: what is kept is read back, is for its owner's eyes, and is refused where a step
// could not look.
func TestPlanFile(t *testing.T) {
	a, m, _ := newStandIns(t)
	must(t, m.Recover(t.Context(), true))
	path := filepath.Join(t.TempDir(), "plan.json")
	planned := []graph.Planned{{Step: graph.Step{ID: "cluster@west", Cluster: "west"}, Change: graph.Change{Action: graph.Create}}}
	must(t, a.savePlan(m, planned, path))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v", info.Mode())
	}
	file, err := readPlan(path)
	must(t, err)
	if moved := file.Compare(m.Save(planned)); len(moved) > 0 {
		t.Errorf("read back it has moved: %v", moved)
	}
	must(t, a.followPlan(m, file))
	if _, said := a.printed(); !strings.Contains(said, "up -f "+example+" --plan "+path) {
		t.Errorf("it says %q", said)
	}
	a.clusters = []string{"west"}
	if err := a.followPlan(m, file); err == nil || diag.ExitCode(err) != diag.ExitUsage {
		t.Errorf("a plan of all clusters is followed with --clusters west: %v", err)
	}
	planned[0].Change = graph.Change{Action: graph.Unknown, Reason: "connection refused"}
	unknown := filepath.Join(t.TempDir(), "plan.json")
	if err := a.savePlan(m, planned, unknown); err == nil || !strings.Contains(err.Error(), "cluster@west could not be looked at: connection refused") {
		t.Errorf("an unknown plan is kept: %v", err)
	}
	if _, err := os.Stat(unknown); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestWrongPlanFiles(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"no JSON":         {"apiVersion: x", "can not be read"},
		"a report":        {`{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "format": 1}`, "is no plan that can be done"},
		"only to be read": {`{"apiVersion": "meshfed.io/v1alpha1", "kind": "Plan", "steps": []}`, "is no plan that can be done"},
		"a newer one":     {`{"apiVersion": "meshfed.io/v1alpha1", "kind": "Plan", "format": 2}`, "has format 2, and this program knows 1"},
		"another version": {`{"apiVersion": "meshfed.io/v2", "kind": "Plan", "format": 1}`, "is no plan that can be done"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plan.json")
			must(t, os.WriteFile(path, []byte(test.text), 0o600))
			_, err := readPlan(path)
			if err == nil || !strings.Contains(err.Error(), test.says) || diag.ExitCode(err) != diag.ExitUsage || len(diag.Hints(err)) == 0 {
				t.Errorf("%v", err)
			}
		})
	}
}
