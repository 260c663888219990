// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) up() *cobra.Command {
	var bundleDir, verifyMode string
	c := &cobra.Command{
		Use:   "up",
		Short: "Make it so, then verify; idempotent and resumable",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !contains(verifyModes, verifyMode) {
				return usage(diag.Hint(fmt.Errorf("--verify %s", verifyMode), "write auto, always, full or never"))
			}
			ctx := cmd.Context()
			m, err := a.open(ctx)
			if err != nil {
				return err
			}
			if err := a.openBundle(m, bundleDir); err != nil {
				return err
			}
			if err := m.Preflight(ctx); err != nil {
				return err
			}
			release, err := m.State.Lock("up")
			if err != nil {
				return err
			}
			defer release()
			if err := a.settle(ctx, m, true); err != nil {
				return err
			}
			return a.runUp(ctx, m, verifyMode)
		},
	}
	c.Flags().StringVar(&bundleDir, "bundle", "", "image bundle in `DIR` to make clusters from (default: what bundle build makes)")
	c.Flags().StringVar(&verifyMode, "verify", "auto", "auto (when something changed or the last verify did not pass), always, full (with failover) or never")
	return c
}

var verifyModes = []string{"auto", "always", "full", "never"}

func (a *app) runUp(ctx context.Context, m *plan.Mesh, verifyMode string) error {
	folder, err := m.State.NewRun("up")
	if err != nil {
		return err
	}
	defer closeRun(folder)
	steps := plan.Up(m)
	observe, done := a.watch(folder, steps)
	result := graph.Run(ctx, steps, graph.Options{Parallel: a.parallel, Observe: observe})
	done()
	if err := result.Err(); err != nil {
		m.CollectLogs(ctx, folder.Path, result)
		if ctx.Err() != nil {
			return diag.WithExit(diag.Hint(err, "`meshfed up` goes on from here, `meshfed down` removes what is there"), diag.ExitInterrupted)
		}
		return diag.Hint(err, "what exists stays; after mending it `meshfed up` goes on from here")
	}
	if !a.wantsVerify(m, verifyMode, result.Changed()) {
		return a.printUpQuiet(m, result)
	}
	return a.verifyAfterUp(ctx, m, folder, result, verifyMode == "full")
}

// wantsVerify decides what --verify means now.
func (a *app) wantsVerify(m *plan.Mesh, mode string, changed bool) bool {
	switch mode {
	case "never":
		return false
	case "auto":
		return changed || !lastVerify(m).passed()
	}
	return true
}

// printUpQuiet ends an `up` that verified nothing.
func (a *app) printUpQuiet(m *plan.Mesh, result graph.Result) error {
	last := lastVerify(m)
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Changed    bool      `json:"changed"`
			LastVerify time.Time `json:"lastVerify,omitzero"`
		}{newHeader("Status", m.Topology.Metadata.Name, m.Substitutions()), result.Changed(), last.StartedAt})
	}
	title := fmt.Sprintf("%s is up; nothing was verified", m.Topology.Metadata.Name)
	if !result.Changed() {
		title = fmt.Sprintf("%s is as the file says; nothing changed (%s)", m.Topology.Metadata.Name, ui.Duration(result.Duration))
		if last.passed() {
			title += ", last proven " + last.StartedAt.Local().Format(time.DateTime)
		}
	}
	return ui.WriteBlock(ui.Detect(a.Out, getenv), ui.Block{Mark: ui.Pass, Title: title, Next: a.next(m)})
}

// next are the commands that people want after `up`.
func (a *app) next(m *plan.Mesh) [][2]string {
	file := " -f " + a.file
	return [][2]string{
		{"meshfed status" + file, "clusters, gateways, credentials"},
		{"meshfed verify" + file, "the proof again"},
		{"eval \"$(meshfed env" + file + ")\"", "KUBECONFIG for kubectl and istioctl"},
		{"meshfed down" + file, "remove it all"},
	}
}
