// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/verify"
)

func (a *app) verify() *cobra.Command {
	var contexts []string
	var since baseline
	var watching watcher
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove discovery, locality, failover, authorization and trust for every pair",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := verify.CheckSuites(a.suites, a.access()); err != nil {
				return usage(err)
			}
			if err := errors.Join(since.check(cmd), watching.check(cmd, a.suites)); err != nil {
				return err
			}
			if watching.on && len(a.suites) == 0 {
				a.suites = verify.WatchSuites()
			}
			if err := a.checkDisruptive(); err != nil {
				return err
			}
			// A watch outlives restarts of nodes, and a cut changes what the engine says of them.
			a.looksOnly = !watching.on && !a.disruptive
			ctx := cmd.Context()
			if len(contexts) > 0 && cmd.Flags().Changed("file") {
				return usage(bothGiven())
			}
			m, err := a.openAny(ctx, contexts, a.passive)
			if err != nil {
				return err
			}
			if err := since.read(m); err != nil {
				return err
			}
			if suites := m.Topology.Spec.Verify.Suites; a.disruptive && len(a.suites) == 0 && len(suites) > 0 && !contains(suites, verify.SuiteFailover) {
				return usage(diag.Hint(errors.New("--disruptive is about the suite failover, which spec.verify.suites leaves out"), "--suite failover names it"))
			}
			// What the clusters say of the file's gaps stands in their records, which others may not read.
			if !a.passive || len(contexts) == 0 {
				if err := m.Recover(ctx, true); err != nil {
					return err
				}
			}
			if watching.on {
				return watching.run(ctx, a, m)
			}
			release, err := m.State.Lock("verify")
			if err != nil {
				return err
			}
			defer release()
			folder, err := m.State.NewRun("verify")
			if err != nil {
				return err
			}
			defer closeRun(folder)
			a.sayDisruptive(m)
			report, err := a.runVerify(ctx, m, folder, a.suites, true)
			if report == nil {
				return err
			}
			if since.report != nil {
				return errors.Join(err, since.print(a, report))
			}
			if a.output == "json" {
				return errors.Join(err, writeJSON(a.Out, report), quietExit(report.ExitCode()))
			}
			return errors.Join(err, a.printReport(report), quietExit(report.ExitCode()))
		},
	}
	a.reportFlag(c)
	since.flags(c)
	watching.flags(c)
	c.Flags().StringSliceVar(&contexts, "contexts", nil, "clusters by their kubeconfig contexts, without a file")
	c.Flags().BoolVar(&a.disruptive, "disruptive", false, "suite failover: also take each east-west gateway, and the network between clusters, away for seconds")
	c.Flags().BoolVar(&a.live, "live", false, "draw the time lines of the suite failover in the terminal, as they happen")
	c.Flags().BoolVar(&a.passive, "passive", false, "look only, without probes and without reading a Secret (rights: meshfed render rbac --for passive)")
	c.Flags().StringSliceVar(&a.suites, "suite", nil, "only these suites: "+strings.Join(verify.Suites(), ", "))
	return c
}

func (a *app) checkDisruptive() error {
	switch {
	case a.disruptive && a.passive:
		return usage(diag.Hint(errors.New("--passive and --disruptive exclude each other"), "leave one of the two out"))
	case a.disruptive && len(a.suites) > 0 && !contains(a.suites, verify.SuiteFailover):
		return usage(diag.Hint(errors.New("--disruptive is about the suite failover, which --suite leaves out"), "add failover to --suite"))
	}
	return nil
}

// access that verify has to the clusters.
func (a *app) access() verify.Access {
	if a.passive {
		return verify.Passive
	}
	return verify.Probing
}

// runVerify observes and judges, and keeps a whole report as the last one. It runs as one
// step, so that progress, log and trace are those of every run. A report beside an error
// holds all judgements; what went wrong came after them.
func (a *app) runVerify(ctx context.Context, m *plan.Mesh, folder *state.RunFolder, suites []string, failover bool) (*verify.Report, error) {
	var report *verify.Report
	step := graph.Step{
		ID: "verify", Title: "proof of every pair", Timeout: a.verifyTime(m), Expected: a.verifyExpected(m),
		Look: func(context.Context) (graph.Change, error) {
			if report != nil {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Create, Reason: "a new report"}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			mesh, err := m.ToVerify(ctx, a.passive)
			if err != nil {
				return err
			}
			report, err = verify.Run(ctx, mesh, verify.Options{
				Suites: suites, Failover: failover, Access: a.access(), Clusters: m.Selected(), Disruptive: a.disruptive,
				Journal: func(f verify.Fault) error { return folder.Journal(faultsFile, f) },
				Observe: func(r verify.Result) { logResult(folder, r) },
				Live:    a.drawLoad,
				State:   func(text string) { graph.State(ctx, "%s", text) },
			})
			return err
		},
	}
	observe, done := a.watch(folder, []graph.Step{step})
	if a.live && a.timeline == nil && !a.quiet {
		fmt.Fprintln(a.Err, "warning: --live draws on a terminal, without -v, and there is none here; the time lines are in the report")
	}
	result := graph.Run(ctx, []graph.Step{step}, graph.Options{Observe: observe})
	done()
	if report == nil {
		return nil, result.Err()
	}
	report.Tool, report.Steps = version.Get().String(), a.steps
	a.report = report
	if len(suites) == 0 && len(a.clusters) == 0 && !a.passive {
		// Only a whole report says whether the mesh is proven.
		if err := errors.Join(m.State.SetLastVerify(report), m.State.SetLastReport(report)); err != nil {
			return nil, err
		}
	}
	return report, result.Err()
}

// logResult keeps every judgement in the run's log; a log that can not be written must not
// spoil the proof.
func logResult(folder *state.RunFolder, r verify.Result) {
	_, _ = fmt.Fprintf(folder.Log(), "%s %s %s>%s %s %s %s\n", r.Status, r.ID, r.From, r.To, r.Variant, r.Code, r.Message)
}

// printReport writes the verdict, the matrix and what is not as it should be to stdout.
func (a *app) printReport(report *verify.Report) error {
	block := proofBlock(report)
	block.Title = report.Topology + ": " + report.Counted()
	return ui.WriteBlock(ui.Detect(a.Out, getenv), block)
}

// proofBlock is what every command that verifies shows of a report.
func proofBlock(report *verify.Report) ui.Block {
	tally := report.Tally()
	block := ui.Block{Matrix: &ui.Matrix{Clusters: report.Clusters, Suites: report.Suites, Cell: func(from, to, suite string) ui.Cell {
		status, counts := tally.Cell(suite, from, to)
		of := 0
		for s, n := range counts {
			if s != verify.Skip {
				of += n
			}
		}
		return ui.Cell{Mark: ui.Mark(status), Passed: counts[verify.Pass], Of: of}
	}}}
	block.Mark = exitMark(report.ExitCode())
	for _, r := range report.Restored {
		block.Notes = append(block.Notes, "restored what a killed run had left: "+r)
	}
	for _, s := range report.Substitutions {
		block.Notes = append(block.Notes, "substitution: "+s)
	}
	block.Notes = append(block.Notes, report.NotApplicable()...)
	for _, status := range []verify.Status{verify.Fail, verify.Inconclusive, verify.Warn} {
		for _, c := range report.Checks {
			if c.Status == status {
				block.Problems = append(block.Problems, ui.Problem{Mark: ui.Mark(status), Text: c.Line()})
			}
		}
	}
	return block
}
