// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/topology"
)

// planOutputs are the forms of a plan besides table and json. They need no container engine.
func planOutputs() []string { return []string{"dot", "commands"} }

func (a *app) plan() *cobra.Command {
	var detailed bool
	var out string
	var replace []string
	var prune bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "What `up` would do, and what has drifted; changes nothing",
		Long: "What `up` would do, and what has drifted; changes nothing.\n\n" +
			"-o commands prints each step as the kubectl, helm, istioctl and openssl commands that it replaces,\n" +
			"as a script to read, from the file alone. -o dot prints the steps and what they need as a graph for\n" +
			"Graphviz, each with what would be done; where that can not be found out, from the file alone.\n\n" +
			"--out keeps the plan in a file; `up --plan` does what it says, and nothing when the file or the\n" +
			"clusters are no longer as the plan saw them.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if contains(planOutputs(), a.output) {
				if out != "" {
					return usage(diag.Hint(fmt.Errorf("--out keeps a plan of the clusters, and -o %s is to be read only", a.output), "leave one of the two out"))
				}
				return a.drawPlan(cmd.Context())
			}
			a.looksOnly = true
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.mayRemove(m, replace, prune); err != nil {
				return err
			}
			planned, err := a.planNow(cmd.Context(), m, out != "")
			if err != nil {
				return err
			}
			faults, err := a.printPlan(cmd.Context(), m, planned)
			if err != nil {
				return err
			}
			if out != "" {
				if err := a.savePlan(m, planned, out); err != nil {
					return err
				}
			}
			if detailed && (changes(planned) || len(faults) > 0) {
				return quietExit(diag.ExitWouldChange)
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&detailed, "detailed-exitcode", false, "exit 5 when something would change")
	f.StringVar(&out, "out", "", "keep the plan in the file `PLAN` for up --plan")
	removalFlags(f, &replace, &prune)
	return c
}

// removalFlags are those by which whole clusters go.
func removalFlags(f *pflag.FlagSet, replace *[]string, prune *bool) {
	f.StringSliceVar(replace, "replace", nil, "delete `CLUSTER` with all that runs in it and make it anew; repeatable")
	f.BoolVar(prune, "prune-clusters", false, "delete kind clusters that the file no longer has, and take the mesh out of your own")
}

// mayRemove lets the user's word about whole clusters reach the steps.
func (a *app) mayRemove(m *plan.Mesh, replace []string, prune bool) error {
	for _, name := range replace {
		c := m.Topology.Cluster(name)
		if c == nil {
			return usage(diag.Hint(fmt.Errorf("--replace: there is no cluster %q in %s", name, a.file), "it has "+strings.Join(m.Topology.Names(), ", ")))
		}
		if c.IsExisting() {
			return usage(diag.Hint(fmt.Errorf("--replace: %s is a cluster of your own, which is never deleted", name), "leave it out"))
		}
	}
	if prune && len(a.clusters) > 0 {
		return usage(diag.Hint(errors.New("--prune-clusters is about the whole file, not about --clusters"), "leave one of the two out"))
	}
	m.Replace, m.PruneClusters = replace, prune
	return nil
}

// planNow looks at everything. With whole set it also asks what `up` asks before it begins, so
// that the list of steps is the one that `up` has.
func (a *app) planNow(ctx context.Context, m *plan.Mesh, whole bool) ([]graph.Planned, error) {
	if err := a.chooseImages(m, ""); err != nil {
		return nil, err
	}
	if err := a.settleVersion(ctx, m); err != nil {
		return nil, err
	}
	if err := m.ResolveCharts(ctx); err != nil {
		return nil, err
	}
	if err := m.Recover(ctx, true); err != nil {
		return nil, err
	}
	m.FindUnplaced(ctx)
	if whole {
		if err := a.preflight(ctx, m); err != nil {
			return nil, err
		}
	}
	planned, err := graph.Plan(ctx, plan.Up(m), graph.Options{Parallel: a.parallel})
	plan.Consequences(planned)
	return planned, err
}

// drawPlan prints the steps for those who want to read what happens. A drawing shows what would be
// done, where that can be found out.
func (a *app) drawPlan(ctx context.Context) error {
	t, err := a.load()
	if err != nil {
		return err
	}
	if a.output == "dot" {
		planned, err := a.lookFor(ctx, t)
		switch {
		case err == nil:
			steps, changes := make([]graph.Step, len(planned)), make(map[string]graph.Change, len(planned))
			for i, p := range planned {
				steps[i], changes[p.Step.ID] = p.Step, p.Change
			}
			_, err = io.WriteString(a.Out, plan.Dot(t.Metadata.Name, steps, changes))
			return err
		case ctx.Err() != nil:
			return err
		case !a.quiet:
			fmt.Fprintln(a.Err, "note: drawn from the file alone, without what would be done:", err)
		}
	}
	dir, err := state.Open(a.stateDir, t.Metadata.Name)
	if err != nil {
		return err
	}
	m := &plan.Mesh{Topology: t, State: dir, Clusters: a.clusters}
	steps := plan.Up(m)
	if a.output == "dot" {
		_, err = io.WriteString(a.Out, plan.Dot(t.Metadata.Name, steps, nil))
		return err
	}
	// Helm values of the file can hold keys.
	_, err = io.WriteString(a.Out, run.Redact(plan.Script(m, plan.Commands(m, steps))))
	return err
}

// lookFor plans what `up` would do of a topology that was read.
func (a *app) lookFor(ctx context.Context, t *topology.Topology) ([]graph.Planned, error) {
	a.looksOnly = true
	m, err := a.openFor(ctx, t)
	if err != nil {
		return nil, err
	}
	return a.planNow(ctx, m, false)
}

// printPlan shows what would be done, and before all the disruptive faults that `up` restores
// first, which it returns.
func (a *app) printPlan(ctx context.Context, m *plan.Mesh, planned []graph.Planned) ([]string, error) {
	found, err := m.Faults(ctx)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, f := range found {
		faults = append(faults, f.Told())
	}
	return faults, a.writePlan(ctx, m, planned, faults)
}

func (a *app) writePlan(ctx context.Context, m *plan.Mesh, planned []graph.Planned, faults []string) error {
	if a.output != "json" {
		for _, fault := range faults {
			fmt.Fprintln(a.Out, "fault:", fault)
		}
		err := ui.RenderPlan(ui.Detect(a.Out, getenv), planned)
		for _, line := range keeps(m, "`"+a.command("up", "--prune-clusters")+"`") {
			if err == nil {
				_, err = fmt.Fprintln(a.Out, line)
			}
		}
		return err
	}
	return writeJSON(a.Out, struct {
		header
		Steps  []graph.Planned `json:"steps"`
		Faults []string        `json:"faults,omitempty"`
	}{newHeader("Plan", m.Topology.Metadata.Name, m.Substituted(ctx)), planned, faults})
}

// keeps says of each cluster that the file no longer has what becomes of it; prune is how to have
// it otherwise.
func keeps(m *plan.Mesh, prune string) []string {
	var lines []string
	for _, name := range m.Unplaced() {
		lines = append(lines, fmt.Sprintf("kept: cluster %s is not in the file, and where it is is not recorded here; what `up` put there stays", name))
	}
	if m.PruneClusters {
		return lines
	}
	for _, name := range m.Dropped() {
		lines = append(lines, fmt.Sprintf("kept: kind cluster %s is not in the file (%s removes it)", m.Topology.KindName(name), prune))
	}
	for _, name := range m.Former() {
		lines = append(lines, fmt.Sprintf("kept: cluster %s of your own is not in the file (%s takes out of it what `up` put there)", name, prune))
	}
	return lines
}

func changes(planned []graph.Planned) bool {
	for _, p := range planned {
		if p.Change.Needed() {
			return true
		}
	}
	return false
}
