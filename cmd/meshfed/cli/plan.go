// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
)

// planOutputs are the forms of a plan besides table and json. They follow from the file alone:
// they need no container engine and look at no cluster.
func planOutputs() []string { return []string{"dot", "commands"} }

func (a *app) plan() *cobra.Command {
	var detailed bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "What `up` would do, and what has drifted; changes nothing",
		Long: "What `up` would do, and what has drifted; changes nothing.\n\n" +
			"-o commands prints each step as the kubectl, helm, istioctl and openssl commands that it replaces,\n" +
			"as a script to read; -o dot prints the steps and what they need as a graph for Graphviz. Both follow\n" +
			"from the file alone and look at no cluster.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if contains(planOutputs(), a.output) {
				return a.drawPlan()
			}
			a.looksOnly = true
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.chooseImages(m, ""); err != nil {
				return err
			}
			if err := a.settleVersion(cmd.Context(), m); err != nil {
				return err
			}
			if err := m.ResolveCharts(cmd.Context()); err != nil {
				return err
			}
			m.RecoverSettings(cmd.Context())
			planned, err := graph.Plan(cmd.Context(), plan.Up(m), graph.Options{Parallel: a.parallel})
			if err != nil {
				return err
			}
			if err := a.printPlan(cmd.Context(), m, planned); err != nil {
				return err
			}
			if detailed && changes(planned) {
				return quietExit(diag.ExitWouldChange)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 5 when something would change")
	return c
}

// drawPlan prints the steps for those who want to read what happens.
func (a *app) drawPlan() error {
	t, err := a.load()
	if err != nil {
		return err
	}
	dir, err := state.Open(a.stateDir, t.Metadata.Name)
	if err != nil {
		return err
	}
	m := &plan.Mesh{Topology: t, State: dir, Clusters: a.clusters}
	steps := plan.Up(m)
	if a.output == "dot" {
		_, err = io.WriteString(a.Out, plan.Dot(t.Metadata.Name, steps))
		return err
	}
	// Helm values of the file can hold keys.
	_, err = io.WriteString(a.Out, run.Redact(plan.Script(m, plan.Commands(m, steps))))
	return err
}

func (a *app) printPlan(ctx context.Context, m *plan.Mesh, planned []graph.Planned) error {
	if a.output != "json" {
		return ui.RenderPlan(ui.Detect(a.Out, getenv), planned)
	}
	return writeJSON(a.Out, struct {
		header
		Steps []graph.Planned `json:"steps"`
	}{newHeader("Plan", m.Topology.Metadata.Name, m.Substituted(ctx)), planned})
}

func changes(planned []graph.Planned) bool {
	for _, p := range planned {
		if p.Change.Needed() {
			return true
		}
	}
	return false
}
