// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"slices"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// shared is the label of the steps that belong to no single cluster.
const shared = "shared"

// Terminal shows a run on a terminal: one line for each cluster and one for what the
// clusters share, with the current step, the state it last saw, time and count, redrawn in
// place several times a second. Failures move up and stay.
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
	busy     bool // some step found something to do
	closed   bool
}

// group is one line: the steps of one cluster.
type group struct {
	label string
	steps []graph.Step
}

// progress is how far one step is.
type progress struct {
	last    graph.Event // zero before the first
	started time.Time
	ended   time.Time
}

// NewTerminal begins to draw, from a goroutine of its own until Close.
func NewTerminal(out *Output, steps []graph.Step) *Terminal {
	t := newTerminal(out, steps, time.Now)
	t.stop = every(t.redraw)
	return t
}

func newTerminal(out *Output, steps []graph.Step, now func() time.Time) *Terminal {
	t := &Terminal{
		out: out, live: live{out: out}, steps: steps, progress: make(map[string]*progress, len(steps)),
		now: now, started: now(), stop: func() {},
	}
	for _, s := range steps {
		t.progress[s.ID] = &progress{}
		t.groupOf(s).steps = append(t.groupOf(s).steps, s)
	}
	return t
}

// groupOf finds or adds the line of a step; lines are in the order in which the list of
// steps first names them.
func (t *Terminal) groupOf(s graph.Step) *group {
	label := s.Cluster
	if label == "" {
		label = shared
	}
	at := slices.IndexFunc(t.groups, func(g *group) bool { return g.label == label })
	if at < 0 {
		t.groups = append(t.groups, &group{label: label})
		at = len(t.groups) - 1
	}
	return t.groups[at]
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

// failure is the line that stays: as much of the error as fits, for the whole of it is
// printed at the end of the command.
func (t *Terminal) failure(e graph.Event) string {
	where := e.Cluster
	if where == "" {
		where = shared
	}
	text := pad(where, t.labelWidth()) + gap + e.Title + " failed after " + Duration(e.Duration) + ": " + reason(e)
	return t.out.draw(symbolFailed) + " " + t.out.fit(text, t.out.columns()-3)
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
		t.live.draw("", t.frame())
	}
}

func (t *Terminal) redraw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live.draw("", t.frame())
}
