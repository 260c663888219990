// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"slices"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// Terminal shows a run on a terminal: one line for each cluster, one for what belongs to
// the whole mesh and one for what joins two clusters, with the current step, the state it
// last saw, time and count, redrawn in place several times a second. Failures move up and
// stay.
type Terminal struct {
	out  *Output
	stop func()

	mu       sync.Mutex // guards what follows
	live     live
	steps    []graph.Step
	groups   []*group
	progress map[string]*progress // by step ID
	started  time.Time
	now      func() time.Time
	busy     bool    // some step found something to do
	share    float64 // of the work that is done, as last drawn
	closed   bool
	loads    []Timeline
}

// progress is how far one step is.
type progress struct {
	last    graph.Event // zero before the first
	started time.Time
	ended   time.Time
}

// running reports whether the step has begun and not ended.
func (p *progress) running() bool { return p.last.Kind != "" && !p.last.Kind.Final() }

// NewTerminal begins to draw, from a goroutine of its own until Close.
func NewTerminal(out *Output, steps []graph.Step) *Terminal {
	t := newTerminal(out, steps, time.Now)
	t.stop = every(redrawEvery, t.redraw)
	return t
}

func newTerminal(out *Output, steps []graph.Step, now func() time.Time) *Terminal {
	t := &Terminal{
		out: out, live: live{out: out}, steps: steps, progress: make(map[string]*progress, len(steps)),
		now: now, started: now(), stop: func() {}, groups: groups(steps),
	}
	for _, s := range steps {
		t.progress[s.ID] = &progress{}
	}
	return t
}

// Observe takes one event.
func (t *Terminal) Observe(e graph.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.progress[e.Step]
	if !ok || t.closed {
		return
	}
	if e.Kind == graph.Started {
		p.started = e.Time
	}
	if e.Kind.Final() {
		p.ended = e.Time
	}
	if e.Kind == graph.Looked && e.Change != nil && e.Change.Needed() {
		t.busy = true
	}
	p.last = e
	if e.Kind == graph.StepFailed {
		t.live.draw(t.failure(e), t.frame())
	} else if e.Kind.Final() {
		t.live.draw("", t.frame())
	}
}

// Timeline takes what a load has seen so far.
func (t *Terminal) Timeline(load Timeline) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.loads, func(l Timeline) bool { return l.Label == load.Label }); i >= 0 {
		t.loads[i] = load
		return
	}
	t.loads = append(t.loads, load)
}

// failureLines is how many lines of a failure stay above the progress. The whole error is
// printed at the end of the command.
const failureLines = 3

// failure is what stays of a failed step: what failed and the beginning of the reason.
func (t *Terminal) failure(e graph.Event) string {
	where := e.Cluster
	if where == "" {
		where = meshLabel
	}
	text := where + ": " + e.Title + " failed after " + Duration(e.Duration) + ": " + reason(e)
	width := t.out.columns() - 3
	lines := wrap(text, width)
	if len(lines) > failureLines {
		lines = lines[:failureLines]
		lines[failureLines-1] += t.out.text(symbolMore)
	}
	kept := ""
	for i, line := range lines {
		mark := t.out.draw(symbolFailed)
		if i > 0 {
			mark = " "
		}
		kept += mark + " " + t.out.fit(line, width) + "\n"
	}
	return kept
}

// Write puts whole lines above the progress, where they stay.
func (t *Terminal) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.out.Write(data)
	}
	t.live.draw(printable(string(data)), t.frame())
	return len(data), nil
}

// Close draws a last time and stops. It blocks for no longer than one drawing.
func (t *Terminal) Close() {
	t.stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		t.live.forget()
		t.live.draw("", t.frame())
	}
}

func (t *Terminal) redraw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live.draw("", t.frame())
}
