// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/internal/cluster/kind"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/ui"
)

// watch joins the observers of one run: the view on stderr, and the run folder's log,
// events and trace. done ends the view; it must be called before anything else is printed.
func (a *app) watch(folder *state.RunFolder, steps []graph.Step) (observe func(graph.Event), done func()) {
	view, end := a.view(steps)
	a.log = folder.LogPath()
	a.Libraries.also(folder.Log())
	return func(e graph.Event) {
		view(e)
		record(folder, e)
	}, end
}

// logChildren sends what kind and kubeadm say to the run's log.
func logChildren(m *plan.Mesh, folder *state.RunFolder) {
	if p, ok := m.Provider.(*kind.Provider); ok {
		// A log that can not be written must not stop the work.
		p.Log = func(line string) { _, _ = fmt.Fprintln(folder.Log(), line) }
	}
}

// view is what the user sees while steps run.
func (a *app) view(steps []graph.Step) (observe func(graph.Event), done func()) {
	if a.quiet {
		return func(graph.Event) {}, func() {}
	}
	out := ui.Detect(a.Err, getenv)
	if a.verbose {
		return ui.Plain(out, steps), func() {}
	}
	v := ui.NewView(out, steps)
	a.timeline = v.Timeline
	return v.Observe, v.Close
}

// record writes an event to the run folder. A full disk must not stop the work that goes on,
// so errors end here; what could not be written is missing from the log, not from the mesh.
func record(folder *state.RunFolder, e graph.Event) {
	line := fmt.Sprintf("%s %-11s %-28s", e.Time.UTC().Format(time.RFC3339Nano), e.Kind, e.Step)
	if e.Change != nil {
		line += fmt.Sprintf(" %s %s", e.Change.Action, e.Change.Reason)
		for _, f := range e.Change.Fields {
			line += fmt.Sprintf("\n    %s: %q -> %q", f.Path, f.Old, f.New)
		}
	}
	if e.State != "" {
		line += " | " + e.State
	}
	if e.Err != nil {
		line += " | " + e.Err.Error()
	}
	var failed *run.Error
	if errors.As(e.Err, &failed) {
		line += "\n" + failed.Output
	}
	_, werr := fmt.Fprintln(folder.Log(), line)
	werr = errors.Join(werr, folder.Event(e))
	if e.Kind.Final() && e.Duration > 0 {
		lane := e.Cluster
		if lane == "" {
			lane = "host"
		}
		werr = errors.Join(werr, folder.Trace().Complete(lane, e.Step, string(e.Kind), e.Time.Add(-e.Duration), e.Duration, nil))
	}
	_ = werr
}
