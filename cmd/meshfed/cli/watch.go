// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/internal/watch"
	"github.com/meshfed/meshfed/verify"
)

// watcher is what --watch, --interval and --listen say, and what was seen last.
type watcher struct {
	on       bool
	interval time.Duration
	listen   string

	app      *app
	mesh     *plan.Mesh
	log      io.Writer
	metrics  *watch.Metrics
	last     *verify.Report
	failover *verify.Report
}

func (w *watcher) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.on, "watch", false, "stay, look again and again at what puts no load on the mesh (trust, discovery), and print only what changes")
	c.Flags().DurationVar(&w.interval, "interval", verify.WatchInterval, "with --watch: from the start of one round to that of the next")
	c.Flags().StringVar(&w.listen, "listen", "127.0.0.1:9715", "with --watch: `ADDRESS` of /metrics, /healthz and /readyz; '' for none")
}

// check refuses what does not go together.
func (w *watcher) check(c *cobra.Command, suites []string) error {
	for _, name := range []string{"interval", "listen"} {
		if c.Flags().Changed(name) && !w.on {
			return usage(diag.Hint(fmt.Errorf("--%s is for --watch alone", name), "add --watch"))
		}
	}
	if !w.on {
		return nil
	}
	for _, other := range [][2]string{
		{"passive", "a watch has probes of its own"},
		{"baseline", "a watch compares each round with the one before"},
		{"disruptive", "a watch breaks nothing"},
		{"live", "a watch sends no load to draw"},
	} {
		if c.Flags().Changed(other[0]) {
			return usage(diag.Hint(fmt.Errorf("--watch and --%s exclude each other: %s", other[0], other[1]), "leave one of the two out"))
		}
	}
	if w.interval < verify.LeastInterval {
		return usage(diag.Hint(fmt.Errorf("--interval is %s, and proxies and control planes are asked in each round", w.interval), fmt.Sprintf("write %s or more", verify.LeastInterval)))
	}
	for _, s := range suites {
		if !slices.Contains(verify.WatchSuites(), s) {
			return usage(diag.Hint(fmt.Errorf("the suite %q is not watched: it puts load or faults on the mesh", s), "leave it out, or verify it without --watch"))
		}
	}
	return nil
}

// run watches until it is interrupted. It holds no lock: `up` and `verify` work meanwhile.
func (w *watcher) run(ctx context.Context, a *app, m *plan.Mesh) error {
	listening := func() error { return nil }
	w.app, w.mesh, w.metrics = a, m, watch.NewMetrics()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if w.listen != "" {
		listener, err := watch.Listen(ctx, w.listen)
		if err != nil {
			return err
		}
		w.listen = listener.Addr().String()
		handler := watch.Handler(w.metrics, w.interval, time.Now(), time.Now)
		ended := make(chan error, 1)
		go func() { ended <- watch.Serve(serving, listener, handler) }()
		listening = func() error {
			stop()
			return <-ended
		}
	}
	folder, err := m.State.NewRun("watch")
	if err != nil {
		return errors.Join(err, listening())
	}
	defer closeRun(folder)
	w.log, a.log = folder.Log(), folder.LogPath()
	a.Libraries.also(w.log)
	mesh, err := m.ToVerify(ctx, false)
	if err == nil {
		err = verify.Watch(ctx, mesh, w.reopen, verify.WatchOptions{
			Suites: a.suites, Clusters: m.Selected(), Interval: w.interval, Round: w.round,
			State: func(text string) {
				if a.verbose {
					fmt.Fprintln(a.Err, text)
				}
			},
		})
	}
	err = errors.Join(err, listening())
	switch {
	case err != nil || ctx.Err() == nil:
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return quietExit(diag.ExitInterrupted) // this is how a watch ends
	}
	return ctx.Err() // --timeout
}

// reopen finds the clusters anew: one that was made again has other credentials.
func (w *watcher) reopen(ctx context.Context) (verify.Mesh, error) {
	m, err := w.app.openFor(ctx, w.mesh.Topology)
	if err != nil {
		return verify.Mesh{}, err
	}
	m.Owner = w.mesh.Owner
	return m.ToVerify(ctx, false)
}

// round prints what changed and passes the report on to the metrics.
func (w *watcher) round(report *verify.Report, sent verify.Traffic) {
	now := time.Now().UTC()
	report.Tool = version.Get().String()
	changes := verify.Standing(report)
	if w.last != nil {
		since, err := verify.Compare(w.last, report, verify.DefaultRegression())
		if err != nil {
			changes = nil // the same watch: can not happen
		} else {
			changes = since.Changes
		}
	}
	if w.last == nil && !w.app.quiet {
		where := ""
		if w.listen != "" {
			where = "; metrics on http://" + w.listen + "/metrics"
		}
		fmt.Fprintf(w.app.Err, "watching %s every %s: %s%s\n", report.Topology, w.interval, report.Counted(), where)
	}
	w.last, w.app.report = report, report
	w.print(now, changes)
	w.metrics.Observe(report, sent, w.lastFailover(), now)
}

// lastFailover is the newest report of this host with the suite failover, which some `verify` made.
func (w *watcher) lastFailover() *verify.Report {
	data, err := w.mesh.State.LastReport()
	if err != nil {
		return w.failover
	}
	if r, err := verify.ReadReport(data); err == nil && slices.Contains(r.Suites, verify.SuiteFailover) {
		w.failover = r
	}
	return w.failover
}

// print writes one line for each change to stdout and to the run's log. Who does not read them any
// more must not end the watch.
func (w *watcher) print(now time.Time, changes []verify.Change) {
	stamp := now.Format(time.RFC3339)
	for _, line := range watch.Lines(changes) {
		_, _ = fmt.Fprintln(w.log, stamp, line)
		if w.app.output != "json" {
			_, _ = fmt.Fprintln(w.app.Out, stamp, run.Redact(line.String()))
		}
	}
	if w.app.output != "json" {
		return
	}
	for _, c := range changes {
		data, err := json.Marshal(struct {
			header
			At time.Time `json:"at"`
			verify.Change
		}{newHeader("VerifyChange", w.last.Topology, w.last.Substitutions), now.Truncate(time.Second), c})
		if err == nil {
			_, _ = fmt.Fprintln(w.app.Out, string(data))
		}
	}
}
