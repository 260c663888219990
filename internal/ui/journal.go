// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// silence is how long a journal is silent while steps run.
const silence = 10 * time.Second

// journal shows a run where lines can't be redrawn: a line for each step that ended, and
// when there was none for a while, one about a running step and the state it last saw.
type journal struct {
	mu      sync.Mutex // guards what follows
	plain   *plain
	steps   []graph.Step
	running map[string]*progress // by step ID
	spoke   map[string]time.Time // when a running step was last spoken of
	last    time.Time            // when the last line was written
	now     func() time.Time
}

func newJournal(out *Output, steps []graph.Step, now func() time.Time) *journal {
	return &journal{
		plain: newPlain(out, steps), steps: steps, running: map[string]*progress{},
		spoke: map[string]time.Time{}, last: now(), now: now,
	}
}

// Observe takes one event.
func (j *journal) Observe(e graph.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.plain.say(e, ending(e))
	if e.Kind.Final() {
		delete(j.running, e.Step)
		j.last = j.now()
		return
	}
	if e.Kind == graph.Started {
		j.running[e.Step] = &progress{started: e.Time}
	}
	if p := j.running[e.Step]; p != nil {
		p.last = e
	}
}

// Write passes whole lines on, between those of the journal.
func (j *journal) Write(data []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.plain.out.Write(data)
}

// remind writes a line about a running step when there was none for a while: about the one
// that was spoken of longest ago.
func (j *journal) remind() {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	if now.Sub(j.last) < silence {
		return
	}
	var next *progress
	for _, s := range j.steps {
		if p := j.running[s.ID]; p != nil && (next == nil || j.heard(p).Before(j.heard(next))) {
			next = p
		}
	}
	if next == nil {
		return
	}
	e := next.last
	e.Time = now
	j.plain.say(e, underWay(next, now))
	j.last, j.spoke[e.Step] = now, now
}

// heard is when a running step was last spoken of; at first, when it started.
func (j *journal) heard(p *progress) time.Time {
	if at := j.spoke[p.last.Step]; at.After(p.started) {
		return at
	}
	return p.started
}

// underWay says what a running step is at: "0/1 ready: ContainerCreating (12s, usually 9s)".
func underWay(p *progress, now time.Time) string {
	text := "looking at what is there"
	switch {
	case p.last.State != "":
		text = clean(p.last.State)
	case changing(p):
		text = verb(p.last.Change).going
	}
	text += " (" + Clock(now.Sub(p.started))
	if p.last.Expected > 0 && changing(p) {
		text += ", usually " + Clock(p.last.Expected)
	}
	return text + ")"
}
