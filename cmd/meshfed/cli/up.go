// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) up() *cobra.Command {
	var bundleDir, verifyMode, planPath string
	var replace []string
	var prune bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Make it so, then verify; idempotent and resumable",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !contains(verifyModes, verifyMode) {
				return usage(diag.Hint(fmt.Errorf("--verify %s", verifyMode), "write auto, always, full or never"))
			}
			if planPath != "" && (len(replace) > 0 || prune) {
				return usage(diag.Hint(errors.New("--plan says itself what is replaced and pruned"), "give --replace and --prune-clusters to `meshfed plan --out PLAN`"))
			}
			ctx := cmd.Context()
			m, err := a.open(ctx)
			if err != nil {
				return err
			}
			if err := a.mayRemove(m, replace, prune); err != nil {
				return err
			}
			var saved *planFile
			if planPath != "" {
				file, err := readPlan(planPath)
				if err == nil {
					err = a.followPlan(m, file)
				}
				if err != nil {
					return err
				}
				saved = &file
			}
			if err := a.beforeUp(ctx, m, bundleDir); err != nil {
				return err
			}
			release, err := m.State.Lock("up")
			if err != nil {
				return err
			}
			defer release()
			if err := a.restoreFaults(ctx, m, m.Reached()); err != nil {
				return err
			}
			if saved != nil {
				if err := a.checkPlan(ctx, m, *saved, planPath); err != nil {
					return err
				}
			}
			if err := a.settle(ctx, m, true); err != nil {
				return err
			}
			if bundleDir != "" {
				kept, err := filepath.Abs(m.Bundle.Dir)
				if err == nil {
					err = m.State.SetBundle(kept)
				}
				if err != nil {
					return err
				}
			}
			a.saySource(m)
			return a.runUp(ctx, m, saved, verifyMode)
		},
	}
	a.reportFlag(c)
	c.Flags().StringVar(&bundleDir, "bundle", "", "make clusters from the image bundle in `DIR` (default: the one named last, else the mirror that the file names, else the bundle that bundle pull or build left, else the registries)")
	c.Flags().StringVar(&verifyMode, "verify", "auto", "auto (when something changed or the last verify did not pass), always, full (with failover) or never")
	c.Flags().StringVar(&planPath, "plan", "", "do what the file `PLAN` of plan --out says, and nothing if it is outdated")
	removalFlags(c.Flags(), &replace, &prune)
	return c
}

// beforeUp refuses what can be known to fail, and changes nothing.
func (a *app) beforeUp(ctx context.Context, m *plan.Mesh, bundleDir string) error {
	if err := a.chooseImages(m, bundleDir); err != nil {
		return err
	}
	if err := a.settleVersion(ctx, m); err != nil {
		return err
	}
	if err := m.Recover(ctx, false); err != nil {
		return err
	}
	m.FindUnplaced(ctx)
	if err := m.CheckImmutable(); err != nil {
		return err
	}
	if err := a.preflight(ctx, m); err != nil {
		return err
	}
	if !a.quiet {
		for _, line := range keeps(m, "--prune-clusters") {
			fmt.Fprintln(a.Err, line)
		}
	}
	return m.ResolveCharts(ctx)
}

// preflight refuses what stands against the file, and says what is doubtful.
func (a *app) preflight(ctx context.Context, m *plan.Mesh) error {
	err := m.Preflight(ctx)
	for _, doubt := range m.Doubts() {
		if !a.quiet {
			fmt.Fprintln(a.Err, "warning:", doubt)
		}
	}
	return err
}

var verifyModes = []string{"auto", "always", "full", "never"}

func (a *app) runUp(ctx context.Context, m *plan.Mesh, saved *planFile, verifyMode string) error {
	folder, err := m.State.NewRun("up")
	if err != nil {
		return err
	}
	defer closeRun(folder)
	logChildren(m, folder)
	steps := plan.Up(m)
	if saved != nil {
		steps = saved.Only(steps)
	}
	observe, done := a.watch(folder, steps)
	result := graph.Run(ctx, steps, graph.Options{Parallel: a.parallel, Observe: observe})
	done()
	for _, kept := range m.Kept() {
		fmt.Fprintln(a.Err, "kept:", kept)
	}
	a.steps = stepTimes(result)
	if result.Changed() {
		// What was proven before is not what is there now, also when this run ends here.
		if err := m.State.SetLastVerify(lastReport{}); err != nil {
			return err
		}
	}
	if err := result.Err(); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return diag.WithExit(diag.Hint(err, fmt.Sprintf("`%s` goes on from here, `%s` removes what is there", a.command("up"), a.command("down"))), diag.ExitInterrupted)
		}
		// The logs are most wanted when the time is over; they have a minute of their own.
		m.CollectLogs(context.WithoutCancel(ctx), folder.Path, result)
		return diag.Hint(err, fmt.Sprintf("what exists stays; after mending it `%s` goes on from here", a.command("up")))
	}
	if !a.wantsVerify(m, verifyMode, result.Changed()) {
		return a.printUpQuiet(ctx, m, result)
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
func (a *app) printUpQuiet(ctx context.Context, m *plan.Mesh, result graph.Result) error {
	last := lastVerify(m)
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Changed    bool      `json:"changed"`
			LastVerify time.Time `json:"lastVerify,omitzero"`
		}{newHeader("Status", m.Topology.Metadata.Name, m.Substituted(ctx)), result.Changed(), last.StartedAt})
	}
	title := fmt.Sprintf("%s is up; nothing was verified", m.Topology.Metadata.Name)
	if !result.Changed() {
		title = fmt.Sprintf("%s is as the file says; nothing changed (%s)", m.Topology.Metadata.Name, ui.Duration(result.Duration))
		if last.passed() {
			title += ", last proven " + last.StartedAt.Local().Format(time.DateTime)
		}
	}
	return ui.WriteBlock(ui.Detect(a.Out, getenv), ui.Block{Mark: ui.Pass, Title: title, Next: a.next()})
}

// next are the commands that people want after `up`.
func (a *app) next() [][2]string {
	return [][2]string{
		{a.command("verify"), "the proof again"},
		{`eval "$(` + a.command("env") + `)"`, "KUBECONFIG for kubectl and istioctl"},
		{a.command("down"), "remove it all"},
	}
}

// command is a command line for the same topology, to be copied as it is.
func (a *app) command(verb string, flags ...string) string {
	program := a.Program
	if program == "" {
		program = "meshfed"
	}
	words := []string{program, verb, "-f", a.file}
	for _, set := range a.set {
		words = append(words, "--set", run.Redact(set)) // a command to copy, not a place for keys
	}
	if a.stateDir != "" {
		words = append(words, "--state-dir", a.stateDir)
	}
	words = append(words, flags...)
	for i := range words {
		words[i] = run.ShellWord(words[i])
	}
	return strings.Join(words, " ")
}
