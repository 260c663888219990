// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/verify"
)

// lastBaseline is the baseline that is the report of before, as the state directory keeps it.
const lastBaseline = "last"

// baseline is what --baseline and --regression say, and what was read for it.
type baseline struct {
	name, factor string
	limit        verify.Regression
	report       *verify.Report
}

func (b *baseline) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.name, "baseline", "", "print only what changed since an earlier report: `last|FILE` (JSON), and exit 3 when something is worse")
	c.Flags().StringVar(&b.factor, "regression", "2x", "with --baseline: how much longer failover may take and how much more it may lose, as a factor or a percentage")
}

// check reads the flags.
func (b *baseline) check(c *cobra.Command) error {
	if c.Flags().Changed("regression") && b.name == "" {
		return usage(diag.Hint(errors.New("--regression needs --baseline: it says how much worse than an earlier report is allowed"), "add --baseline last"))
	}
	var err error
	if b.limit, err = verify.ParseRegression(b.factor); err != nil {
		return usage(fmt.Errorf("--regression: %w", err))
	}
	return nil
}

// read reads the report before anything is verified: a later one takes the place of the last.
func (b *baseline) read(m *plan.Mesh) error {
	if b.name == "" {
		return nil
	}
	data, where, err := b.data(m)
	if err != nil {
		return err
	}
	b.report, err = verify.ReadReport(data)
	switch {
	case err != nil:
		return usage(diag.Hint(fmt.Errorf("reading the baseline %s: %w", where, err), "`meshfed verify --report FILE.json` writes one"))
	case b.report.Topology != m.Topology.Metadata.Name:
		return usage(diag.Hint(fmt.Errorf("the baseline %s is of the topology %s, and this is %s", where, b.report.Topology, m.Topology.Metadata.Name), "name a report of the same topology"))
	}
	return nil
}

// data is the JSON of the baseline and where it lies.
func (b *baseline) data(m *plan.Mesh) (data []byte, where string, err error) {
	if b.name != lastBaseline {
		file, err := os.Open(b.name)
		if err != nil {
			return nil, b.name, usage(diag.Hint(fmt.Errorf("reading the baseline: %w", err), "name a report that `meshfed verify --report FILE.json` has written, or `last`"))
		}
		defer func() { _ = file.Close() }()
		data, err := io.ReadAll(io.LimitReader(file, verify.MaxReport+1))
		if err != nil {
			return nil, b.name, usage(fmt.Errorf("reading the baseline: %w", err))
		}
		return data, b.name, nil
	}
	where = "of the last verify"
	data, err = m.State.LastReport()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, where, diag.Hint(fmt.Errorf("there is no last report of %s to compare with", m.Topology.Metadata.Name), "`meshfed verify` of all suites and clusters keeps one")
	}
	return data, where, err
}

// print writes the differences to stdout and ends the command with their exit code.
func (b *baseline) print(a *app, report *verify.Report) error {
	changes, err := verify.Compare(b.report, report, b.limit)
	if err != nil {
		return usage(fmt.Errorf("comparing with the baseline: %w", err))
	}
	if a.output == "json" {
		return errors.Join(writeJSON(a.Out, changes), quietExit(changes.ExitCode()))
	}
	block := ui.Block{Title: report.Topology + ": " + report.Counted() + "; " + changes.Counted()}
	for _, c := range changes.Changes {
		block.Problems = append(block.Problems, ui.Problem{Mark: changeMark(c), Text: c.Line()})
	}
	block.Mark = exitMark(changes.ExitCode())
	return errors.Join(ui.WriteBlock(ui.Detect(a.Out, getenv), block), quietExit(changes.ExitCode()))
}

// changeMark is the mark of one difference.
func changeMark(c verify.Change) ui.Mark {
	switch c.Kind {
	case verify.Failed, verify.Otherwise, verify.Slower, verify.MoreLost:
		return ui.Fail
	case verify.Unsure:
		return ui.Inconclusive
	case verify.Warned, verify.Replaced, verify.Vanished:
		return ui.Warn
	case verify.Mended, verify.Clear, verify.Faster, verify.FewerLost:
		return ui.Pass
	case verify.Appeared, verify.Skipped:
		return ui.Mark(c.After)
	}
	return ui.Skip
}

// exitMark is the mark of a verdict.
func exitMark(code int) ui.Mark {
	switch code {
	case diag.ExitOK:
		return ui.Pass
	case diag.ExitInconclusive:
		return ui.Inconclusive
	}
	return ui.Fail
}
