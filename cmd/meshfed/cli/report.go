// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
	"github.com/meshfed/meshfed/verify/page"
)

// reportFlag adds --report to a command that verifies. The files are written when the command
// ends, however it ends: see finishReports.
func (a *app) reportFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&a.reports, "report", nil, "also write the report to `PATH`, by its extension .html, .svg (a small card), .md, .json or .xml (JUnit); repeatable")
}

// reportForm writes a report in the form that an extension stands for; nil for one that stands
// for none.
func reportForm(extension string) func(io.Writer, *verify.Report) error {
	drawn := func(draw func(*verify.Report) ([]byte, error)) func(io.Writer, *verify.Report) error {
		return func(w io.Writer, r *verify.Report) error {
			data, err := draw(r)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		}
	}
	return map[string]func(io.Writer, *verify.Report) error{
		".html": drawn(page.HTML),
		".svg":  drawn(page.Card),
		".md":   func(w io.Writer, r *verify.Report) error { return r.Markdown(w) },
		".json": func(w io.Writer, r *verify.Report) error { return writeJSON(w, r) },
		".xml":  func(w io.Writer, r *verify.Report) error { return r.JUnit(w) },
	}[strings.ToLower(extension)]
}

// checkReports refuses what could not be written in the end, before anything is done.
func (a *app) checkReports() error {
	var errs []error
	for _, path := range a.reports {
		extension := filepath.Ext(path)
		if reportForm(extension) == nil {
			errs = append(errs, diag.Hint(fmt.Errorf("--report %s: a report's form follows from its extension, and there is none for %q", path, extension), "write .html, .svg, .md, .json or .xml (JUnit)"))
			continue
		}
		errs = append(errs, writable("--report", path))
	}
	if err := errors.Join(errs...); err != nil {
		return usage(err)
	}
	return nil
}

// writable tries whether a file that a flag names can be put at path, and leaves nothing there.
func writable(flag, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return diag.Hint(fmt.Errorf("%s %s: it is a folder", flag, path), "name a file")
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		return diag.Hint(fmt.Errorf("%s %s: there is no folder %s", flag, path, dir), "mkdir -p "+run.ShellWord(dir))
	}
	f, err := os.CreateTemp(dir, ".meshfed-report-*")
	if err != nil {
		return diag.Hint(fmt.Errorf("%s %s: the folder %s can not be written to: %w", flag, path, dir, errors.Unwrap(err)), "ls -ld "+run.ShellWord(dir))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// finishReports writes the reports that were asked for after the command ended with err: what
// was judged, or, when that did not come about, that nothing was, under the names that the
// checks always have. A command line or file that is wrong gets none. The exit code stays
// that of err.
func (a *app) finishReports(err error) error {
	if len(a.reports) == 0 || !a.begun || a.topology == nil || diag.ExitCode(err) == diag.ExitUsage {
		return err
	}
	report := a.report
	if report == nil && err == nil {
		report = a.recorded()
	}
	if werr := a.writeReports(report, a.topology, err); werr != nil {
		return errors.Join(err, werr)
	}
	return err
}

// recorded is the last report of the whole mesh: what an `up` that had nothing to change rests
// on. It is nil when there is none.
func (a *app) recorded() *verify.Report {
	dir, err := state.Open(a.stateDir, a.topology.Metadata.Name)
	if err != nil {
		return nil
	}
	var last verify.Report
	if dir.ReadJSON("verify.json", &last) != nil || len(last.Checks) == 0 {
		return nil
	}
	return &last
}

// writeReports writes one report in every form that was asked for. Without one it writes that
// nothing was judged, and why: err.
func (a *app) writeReports(report *verify.Report, t *topology.Topology, err error) error {
	if report == nil {
		if err == nil {
			err = errors.New("nothing was verified")
		}
		report = verify.NotRun(t, verify.Options{
			Suites: a.suites, Failover: a.failover, Access: a.access(), Clusters: a.clusters, Disruptive: a.disruptive}, redacted(err))
		report.Tool = version.Get().String()
	}
	if report.Steps == nil {
		report.Steps = a.steps
	}
	var errs []error
	for _, path := range a.reports {
		write := func(w io.Writer) error { return reportForm(filepath.Ext(path))(w, report) }
		// It holds no secret, and is there for others: CI systems read reports as another user.
		if err := replaceFile(path, 0o644, write); err != nil {
			errs = append(errs, fmt.Errorf("writing report %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// stepTimes is how the steps of a run went, for the report of what they made.
func stepTimes(result graph.Result) []verify.StepTime {
	var all []verify.StepTime
	for _, o := range result.Outcomes {
		one := verify.StepTime{ID: o.Step.ID, Title: o.Step.Title, Cluster: o.Step.Cluster, Status: string(o.Status)}
		if !o.Started.IsZero() {
			one.StartSeconds = o.Started.Sub(result.Started).Round(time.Millisecond).Seconds()
			one.DurationSeconds = o.Duration.Round(time.Millisecond).Seconds()
		}
		all = append(all, one)
	}
	return all
}

// replaceFile writes a file at once: a reader sees the old content or the new.
func replaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".meshfed-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
