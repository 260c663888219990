// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/topology"
)

// planFile is what `plan --out` writes: the Plan of -o json, and what is needed to do it later.
type planFile struct {
	header
	plan.Saved
}

// movedShown bounds how many steps an outdated plan names.
const movedShown = 10

// savePlan writes a plan to be done later. One in which a step could not look says too little.
func (a *app) savePlan(m *plan.Mesh, planned []graph.Planned, path string) error {
	for _, p := range planned {
		if p.Change.Action == graph.Unknown {
			return diag.Hint(fmt.Errorf("keeping the plan: %s could not be looked at: %s", p.Step.ID, p.Change.Reason),
				"mend that first; a plan to be done later must know what it changes")
		}
	}
	err := replaceFile(path, 0o600, func(w io.Writer) error {
		return writeJSON(w, planFile{newHeader("Plan", m.Topology.Metadata.Name, m.Substitutions()), m.Save(planned)})
	})
	if err != nil {
		return diag.Hint(fmt.Errorf("keeping the plan: %w", err), "name a file that can be written with --out")
	}
	if !a.quiet {
		fmt.Fprintf(a.Err, "kept: %s (`%s` does what it says)\n", path, a.command("up", "--plan", path))
	}
	return nil
}

// readPlan reads what savePlan has written; whatever else is there is exit code 2.
func readPlan(path string) (planFile, error) {
	var file planFile
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	again := "`meshfed plan --out " + path + "` writes one"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file, usage(diag.Hint(fmt.Errorf("--plan: there is no file %s", path), again))
	case err != nil:
		return file, usage(diag.Hint(fmt.Errorf("--plan: %s can not be read: %w", path, err), again))
	case file.APIVersion != topology.APIVersion || file.Kind != "Plan" || file.Format == 0:
		return file, usage(diag.Hint(fmt.Errorf("--plan: %s is no plan that can be done", path), again+"; what -o json prints is to be read only"))
	case file.Format != plan.SavedFormat:
		return file, usage(diag.Hint(fmt.Errorf("--plan: %s has format %d, and this program knows %d", path, file.Format, plan.SavedFormat), again))
	}
	return file, nil
}

// followPlan takes over what the flags said when the plan was made.
func (a *app) followPlan(m *plan.Mesh, file planFile) error {
	if file.Topology != m.Topology.Metadata.Name {
		return usage(diag.Hint(fmt.Errorf("--plan: the plan is of topology %s, and the file is of %s", file.Topology, m.Topology.Metadata.Name), "name the file of the plan with -f"))
	}
	if !slices.Equal(a.clusters, file.Clusters) {
		return usage(diag.Hint(fmt.Errorf("--plan: the plan was made with --clusters %q and this is %q", strings.Join(file.Clusters, ","), strings.Join(a.clusters, ",")),
			"give the same --clusters, or make another plan"))
	}
	return a.mayRemove(m, file.Replace, file.PruneClusters)
}

// checkPlan looks again and refuses a plan when anything is not as it saw it.
func (a *app) checkPlan(ctx context.Context, m *plan.Mesh, file planFile, path string) error {
	planned, err := graph.Plan(ctx, plan.Up(m), graph.Options{Parallel: a.parallel})
	if err != nil {
		return err
	}
	plan.Consequences(planned)
	moved := file.Compare(m.Save(planned))
	if len(moved) == 0 {
		return nil
	}
	lines := make([]string, 0, movedShown)
	for i, one := range moved {
		if i == movedShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(moved)-i))
			break
		}
		line := "was: " + one.Was + "; is: " + one.Is
		if one.Step != "" {
			line = one.Step + " " + line
		}
		lines = append(lines, line)
	}
	return diag.Hint(fmt.Errorf("the plan %s is outdated, nothing was changed: %s", path, strings.Join(lines, "\n  ")),
		fmt.Sprintf("`%s` makes a new one; `%s` goes without", a.command("plan", "--out", path), a.command("up")))
}
