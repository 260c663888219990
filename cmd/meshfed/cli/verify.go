// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/verify"
)

func (a *app) verify() *cobra.Command {
	var suites []string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove discovery, locality, failover, authorization and trust for every pair",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSuites(suites); err != nil {
				return usage(err)
			}
			ctx := cmd.Context()
			m, err := a.open(ctx)
			if err != nil {
				return err
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
			report, err := a.runVerify(ctx, m, folder, suites, true)
			if report == nil {
				return err
			}
			if a.output == "json" {
				return errors.Join(err, writeJSON(a.Out, report), quietExit(report.ExitCode()))
			}
			return errors.Join(err, a.printReport(report), quietExit(report.ExitCode()))
		},
	}
	c.Flags().StringSliceVar(&suites, "suite", nil, "only these suites: trust, discovery, weights, locality, failover, authorization")
	return c
}

// runVerify observes and judges, and keeps a whole report as the last one. It runs as one
// step, so that progress, log and trace are those of every run. A report beside an error
// holds all judgements; what went wrong came after them.
func (a *app) runVerify(ctx context.Context, m *plan.Mesh, folder *state.RunFolder, suites []string, failover bool) (*verify.Report, error) {
	var report *verify.Report
	step := graph.Step{
		ID: "verify", Title: "proof of every pair", Timeout: 10 * time.Minute, Expected: 20 * time.Second,
		Look: func(context.Context) (graph.Change, error) {
			if report != nil {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Create, Reason: "a new report"}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			mesh, err := m.ToVerify(ctx)
			if err != nil {
				return err
			}
			report, err = verify.Run(ctx, mesh, verify.Options{
				Suites: suites, Failover: failover, Clusters: m.Selected(),
				Observe: func(r verify.Result) { logResult(folder, r) },
				State:   func(text string) { graph.State(ctx, "%s", text) },
			})
			return err
		},
	}
	observe, done := a.watch(folder, []graph.Step{step})
	result := graph.Run(ctx, []graph.Step{step}, graph.Options{Observe: observe})
	done()
	if report == nil {
		return nil, result.Err()
	}
	report.Tool = version.Get().String()
	if len(suites) == 0 && len(a.clusters) == 0 {
		// Only a whole report says whether the mesh is proven.
		if err := m.State.SetLastVerify(report); err != nil {
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

// printReport writes the matrix to stdout.
func (a *app) printReport(report *verify.Report) error { return report.Matrix(a.Out) }

// later suites of the contract, refused by name until they are built.
var laterSuites = []string{"gateway", "dns", "services"}

func checkSuites(suites []string) error {
	for _, s := range suites {
		known := "there are " + strings.Join(verify.Suites(), ", ")
		switch {
		case contains(laterSuites, s):
			return diag.Hint(fmt.Errorf("suite %q is not built yet", s), known)
		case !contains(verify.Suites(), s):
			return diag.Hint(fmt.Errorf("there is no suite %q", s), known)
		}
	}
	return nil
}
