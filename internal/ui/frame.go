// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// frame is what the live area shows now: a line for each group and one for the whole.
func (t *Terminal) frame() []string {
	now := t.now()
	columns, rows := t.out.size()
	var lines, finished []string
	for _, g := range t.groups {
		line := t.line(g, now, columns-1) // a full last column would wrap on some terminals
		lines = append(lines, line)
		if t.tally(g).open == 0 {
			finished = append(finished, line)
		}
	}
	if room := rows - 3; rows > 0 && len(lines) > max(room, 1) {
		lines = t.shorten(lines, finished, max(room, 1))
	}
	return append(lines, t.summary(now, columns-1))
}

// shorten leaves lines out when the terminal is too low, those that are finished first.
func (t *Terminal) shorten(lines, finished []string, room int) []string {
	skip := map[string]bool{}
	for _, line := range finished {
		if len(lines)-len(skip) > room {
			skip[line] = true
		}
	}
	var kept []string
	for _, line := range lines {
		if !skip[line] && len(kept) < room {
			kept = append(kept, line)
		}
	}
	return append(kept, t.out.paint(faint, fmt.Sprintf("  and %d more", len(lines)-len(kept))))
}

// tally counts the steps of a group by how far they are.
type tally struct {
	open, done, changed int
	failed, blocked     []graph.Event
	interrupted         int
	running             []graph.Step // in the order in which they started
	started, ended      time.Time    // of the first and of the last step
}

func (t *Terminal) tally(g *group) tally {
	var c tally
	for _, s := range g.steps {
		p := t.progress[s.ID]
		if !p.started.IsZero() && (c.started.IsZero() || p.started.Before(c.started)) {
			c.started = p.started
		}
		if !p.last.Kind.Final() {
			c.open++
			if p.last.Kind != "" {
				c.running = t.insert(c.running, s)
			}
			continue
		}
		if p.ended.After(c.ended) {
			c.ended = p.ended
		}
		switch p.last.Kind {
		case graph.StepChanged:
			c.done++
			c.changed++
		case graph.StepUnchanged:
			c.done++
		case graph.StepFailed:
			c.failed = append(c.failed, p.last)
		case graph.StepBlocked:
			c.blocked = append(c.blocked, p.last)
		case graph.StepInterrupted:
			c.interrupted++
		}
	}
	return c
}

// insert keeps running steps in the order of their start.
func (t *Terminal) insert(running []graph.Step, s graph.Step) []graph.Step {
	at := len(running)
	for at > 0 && t.progress[s.ID].started.Before(t.progress[running[at-1].ID].started) {
		at--
	}
	running = append(running, graph.Step{})
	copy(running[at+1:], running[at:])
	running[at] = s
	return running
}

func (t *Terminal) labelWidth() int {
	width := 0
	for _, g := range t.groups {
		width = max(width, cells(g.label))
	}
	return width
}

// line is one group: symbol, label, what goes on, time, count.
func (t *Terminal) line(g *group, now time.Time, width int) string {
	c := t.tally(g)
	mark, body, clock := t.body(g, c, now, width)
	count := fmt.Sprintf("%d/%d", c.done, len(g.steps))
	right := gap + clock + gap + padLeft(count, t.countWidth())
	if clock == "" {
		right = gap + padLeft(count, t.countWidth())
	}
	label := pad(g.label, t.labelWidth())
	room := width - 2 - cells(label) - len(gap) - cells(right)
	if room < 8 {
		return mark + " " + t.out.fit(label+gap+body, width-2)
	}
	return mark + " " + t.out.paint(bold, label) + gap + pad(t.out.fit(body, room), room) + t.out.paint(faint, right)
}

func (t *Terminal) countWidth() int {
	width := 0
	for _, g := range t.groups {
		width = max(width, len(fmt.Sprintf("%d/%d", len(g.steps), len(g.steps))))
	}
	return width
}

// body is the symbol, the words and the time of a line.
func (t *Terminal) body(g *group, c tally, now time.Time, width int) (mark, body, clock string) {
	if len(c.running) > 0 {
		return t.out.spinner(now), t.current(c.running), t.clock(c.running[0], now, width)
	}
	var took string
	if !c.started.IsZero() && !c.ended.IsZero() {
		took = Duration(c.ended.Sub(c.started))
	}
	switch {
	case len(c.failed) > 0:
		return t.out.draw(symbolFailed), failedBody(c), took
	case c.open > 0:
		return t.out.draw(symbolWaiting), t.waiting(g), ""
	case len(c.blocked) > 0:
		return t.out.draw(symbolBlocked), blockedBody(c), took
	case c.interrupted > 0:
		return t.out.draw(symbolStopped), fmt.Sprintf("interrupted, %d not done", c.interrupted), took
	case c.changed > 0:
		return t.out.draw(symbolDone), fmt.Sprintf("done, %d changed", c.changed), took
	default:
		return t.out.draw(symbolDone), "done, nothing to change", took
	}
}

func failedBody(c tally) string {
	var titles []string
	for _, e := range c.failed {
		titles = append(titles, e.Title)
	}
	body := "failed: " + strings.Join(titles, ", ")
	if n := len(c.blocked); n > 0 {
		body += fmt.Sprintf("; %d blocked", n)
	}
	return body
}

func blockedBody(c tally) string {
	return fmt.Sprintf("%d blocked by %s", len(c.blocked), strings.Join(c.blocked[0].BlockedBy, ", "))
}

// current is the step that has run longest, the state that it last saw, and how many more.
func (t *Terminal) current(running []graph.Step) string {
	s := running[0]
	body := s.Title
	if more := len(running) - 1; more > 0 {
		body += fmt.Sprintf(" (+%d)", more)
	}
	switch last := t.progress[s.ID].last; {
	case last.State != "":
		return body + t.out.text(symbolDot) + clean(last.State)
	case last.Change != nil && last.Change.Needed():
		return body + t.out.text(symbolDot) + verb(last.Change).going
	default:
		return body + t.out.text(symbolDot) + "looking"
	}
}

// clock is the time of the current step and what it usually takes.
func (t *Terminal) clock(s graph.Step, now time.Time, width int) string {
	p := t.progress[s.ID]
	clock := Clock(now.Sub(p.started))
	if change := p.last.Change; width >= 59 && s.Expected > 0 && change != nil && change.Needed() {
		return clock + " of ~" + Clock(s.Expected)
	}
	return clock
}

// waiting names the first thing that a group waits for.
func (t *Terminal) waiting(g *group) string {
	for _, s := range g.steps {
		if t.progress[s.ID].last.Kind.Final() {
			continue
		}
		for _, need := range s.Needs {
			if p, ok := t.progress[need]; ok && !p.last.Kind.Final() {
				return "waiting for " + need
			}
		}
	}
	return "waiting"
}

// summary is the last line: steps, elapsed time and, once something changes, time left.
func (t *Terminal) summary(now time.Time, width int) string {
	over, final, good := map[string]bool{}, 0, 0
	left := make([]graph.Step, len(t.steps))
	for i, s := range t.steps {
		p := t.progress[s.ID]
		switch kind := p.last.Kind; {
		case kind.Final():
			over[s.ID] = true
			final++
			if kind == graph.StepChanged || kind == graph.StepUnchanged {
				good++
			}
		case !p.started.IsZero():
			s.Expected = max(0, s.Expected-now.Sub(p.started))
		}
		left[i] = s
	}
	parts := []string{fmt.Sprintf("%d of %d steps", good, len(t.steps)), Clock(now.Sub(t.started))}
	if t.busy && final < len(t.steps) {
		if remaining := graph.Remaining(left, over); remaining > 0 {
			parts = append(parts, About(remaining)+" left")
		} else {
			parts = append(parts, "longer than usual")
		}
	}
	return "  " + t.out.paint(faint, t.out.fit(strings.Join(parts, t.out.text(symbolDot)), width-2))
}
