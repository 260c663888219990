// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) plan() *cobra.Command {
	var detailed bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "What `up` would do, and what has drifted; changes nothing",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.openBundle(m, ""); errors.Is(err, errNoBundle) {
				m.Bundle = nil // a plan needs no images
			} else if err != nil {
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
