// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/verify"
)

// getenv reads the environment for views.
func getenv(name string) string { return os.Getenv(name) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// lastReport is what is read back of the last verify.
type lastReport struct {
	StartedAt time.Time `json:"startedAt"`
	Summary   struct {
		Pass         int `json:"pass"`
		Fail         int `json:"fail"`
		Inconclusive int `json:"inconclusive"`
	} `json:"summary"`
}

func (l lastReport) passed() bool {
	return l.Summary.Pass > 0 && l.Summary.Fail == 0 && l.Summary.Inconclusive == 0
}

// lastVerify is zero when there was none or it can not be read: then it did not pass.
func lastVerify(m *plan.Mesh) lastReport {
	var last lastReport
	data, err := m.State.LastVerify()
	if err == nil && json.Unmarshal(data, &last) != nil {
		return lastReport{}
	}
	return last
}

// closeRun ends a run folder; what could not be written has been said by the disk check of
// the next command.
func closeRun(folder *state.RunFolder) { _ = folder.Close() }

// verifyAfterUp proves what was made.
func (a *app) verifyAfterUp(ctx context.Context, m *plan.Mesh, folder *state.RunFolder, result graph.Result, failover bool) error {
	start := time.Now()
	report, err := a.runVerify(ctx, m, folder, nil, failover)
	if report == nil {
		return err
	}
	if a.output == "json" {
		return errors.Join(err, writeJSON(a.Out, report), quietExit(report.ExitCode()))
	}
	if err != nil {
		return errors.Join(err, a.printReport(report))
	}
	return errors.Join(a.closing(ctx, m, report, result.Duration, time.Since(start)), quietExit(report.ExitCode()))
}

// closing is the block after a verified `up`.
func (a *app) closing(ctx context.Context, m *plan.Mesh, report *verify.Report, made, proved time.Duration) error {
	block := proofBlock(report)
	block.Title = m.Topology.Metadata.Name + " is up (" + ui.Duration(made) + ") and proven (" + ui.Duration(proved) + ")"
	if report.ExitCode() != 0 {
		block.Title = m.Topology.Metadata.Name + " is up (" + ui.Duration(made) + ") but not proven: see the checks above"
	}
	block.Facts, block.Next = append([][2]string{{"proof", report.Counted()}}, a.facts(ctx, m)...), a.next()
	return ui.WriteBlock(ui.Detect(a.Out, getenv), block)
}
