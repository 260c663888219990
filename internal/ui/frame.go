// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// Widths from which a line has room for more than the bare necessities.
const (
	roomy    = 59  // what the step usually takes
	spacious = 109 // a bar of the steps that are done
)

// frame is what the live area shows now: a line for each group and one for the whole.
func (t *Terminal) frame() []string {
	now := t.now()
	columns, rows := t.out.size()
	width := columns - 1 // a full last column would wrap on some terminals
	shown, hidden := t.groups, []*group(nil)
	if room := max(rows-3, 1); rows > 0 && len(shown) > room+1 {
		shown, hidden = t.choose(room)
	}
	lines := make([]string, 0, len(shown)+2)
	for _, g := range shown {
		lines = append(lines, t.line(g, now, width))
	}
	if len(hidden) > 0 {
		lines = append(lines, "  "+t.out.paint(faint, t.out.fit(t.others(hidden), width-2)))
	}
	if summary := t.summary(now, width); summary != "" {
		lines = append(lines, summary)
	}
	return append(lines, t.drawn(rows-len(lines)-2, width)...)
}

// drawn are the loads that there is room for, the last ones; rows below 1 may be unknown.
func (t *Terminal) drawn(room, width int) []string {
	loads := t.loads
	if _, rows := t.out.size(); rows > 0 {
		loads = loads[len(loads)-max(0, min(len(loads), room)):]
	}
	return t.out.timelines(loads, width)
}

// choose picks the groups that are shown when the terminal is too low for all of them:
// those that want to be seen most, in their usual order.
func (t *Terminal) choose(room int) (shown, hidden []*group) {
	byRank := slices.Clone(t.groups)
	slices.SortStableFunc(byRank, func(a, b *group) int { return t.tally(a).rank() - t.tally(b).rank() })
	for _, g := range t.groups {
		if slices.Contains(byRank[:room], g) {
			shown = append(shown, g)
		} else {
			hidden = append(hidden, g)
		}
	}
	return shown, hidden
}

// others counts the groups that are not shown: "and 7 more: 2 at work, 5 done".
func (t *Terminal) others(hidden []*group) string {
	names := []string{"failed", "at work", "blocked", "waiting", "done"}
	counts := make([]int, len(names))
	for _, g := range hidden {
		counts[t.tally(g).rank()]++
	}
	var parts []string
	for i, n := range counts {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, names[i]))
		}
	}
	return fmt.Sprintf("and %d more: %s", len(hidden), strings.Join(parts, ", "))
}

// labelWidth is the width of the longest label, but at most a quarter of a line.
func (t *Terminal) labelWidth() int {
	width := 0
	for _, g := range t.groups {
		width = max(width, cells(g.label))
	}
	return min(width, max(t.out.columns()/4, 8))
}

// line is one group: symbol, label, what goes on, time, count.
func (t *Terminal) line(g *group, now time.Time, width int) string {
	c := t.tally(g)
	label := pad(t.out.fit(g.label, t.labelWidth()), t.labelWidth())
	right := gap + padLeft(fmt.Sprintf("%d/%d", c.done, len(g.steps)), t.countWidth())
	if width >= spacious {
		right = gap + t.out.bar(float64(c.done)/float64(len(g.steps)), 10) + t.out.paint(faint, right)
	} else {
		right = t.out.paint(faint, right)
	}
	if clock := t.clock(c, now, width); clock != "" {
		right = t.out.paint(faint, gap+clock) + right
	}
	room := width - 2 - cells(label) - len(gap) - cells(printable(right))
	mark, body, s := t.body(g, c, room)
	if room < 12 {
		right, room = "", width-2-cells(label)-len(gap)
		mark, body, s = t.body(g, c, room)
	}
	body = t.out.fit(body, room)
	line := mark + " " + t.out.paint(bold, label) + gap + t.out.paint(s, body)
	if right == "" {
		return line
	}
	return line + strings.Repeat(" ", room-cells(body)) + right
}

func (t *Terminal) countWidth() int {
	width := 0
	for _, g := range t.groups {
		width = max(width, len(fmt.Sprintf("%d/%d", len(g.steps), len(g.steps))))
	}
	return width
}

// clock is the time of the current step and what it usually takes, or the time of all of
// the group's steps when it is over.
func (t *Terminal) clock(c tally, now time.Time, width int) string {
	if len(c.running) == 0 {
		if c.open > 0 || c.started.IsZero() || c.ended.IsZero() {
			return ""
		}
		return Duration(c.ended.Sub(c.started))
	}
	s := c.running[0]
	p := t.progress[s.ID]
	clock := Clock(now.Sub(p.started))
	if width >= roomy && s.Expected > 0 && changing(p) {
		return clock + " of ~" + Clock(s.Expected)
	}
	return clock
}

// body is the symbol and the words of a line, and how the words are painted.
func (t *Terminal) body(g *group, c tally, room int) (mark, body string, s style) {
	switch {
	case len(c.running) > 0:
		return t.out.spinner(t.now()), t.current(g, c.running, room), none
	case len(c.failed) > 0:
		return t.out.draw(symbolFailed), t.failed(c), red
	case len(c.blocked) > 0:
		return t.out.draw(symbolBlocked), fmt.Sprintf("%d blocked by %s", len(c.blocked), strings.Join(c.blocked[0].BlockedBy, ", ")), red
	case c.interrupted > 0:
		return t.out.draw(symbolStopped), fmt.Sprintf("interrupted, %d not done", c.interrupted), none
	case c.open > 0:
		return t.out.draw(symbolWaiting), t.waiting(g, room), faint
	case c.changed > 0:
		return t.out.draw(symbolDone), fmt.Sprintf("done, %d changed", c.changed), faint
	default:
		return t.out.draw(symbolDone), "done, nothing to change", faint
	}
}

// failed says what failed and what was seen last.
func (t *Terminal) failed(c tally) string {
	var titles []string
	for _, e := range c.failed {
		titles = append(titles, e.Title)
	}
	body := "failed: " + strings.Join(titles, ", ")
	if n := len(c.blocked); n > 0 {
		body += fmt.Sprintf(", %d blocked", n)
	}
	why := clean(c.failed[0].State)
	if why == "" {
		why = reason(c.failed[0])
	}
	if why != "" {
		body += t.out.text(symbolDot) + why
	}
	return body
}

// current is a running step, the state that it last saw, and how many more there are. Where
// there is little room, the state is worth more than the step's full name.
func (t *Terminal) current(g *group, running []graph.Step, room int) string {
	s := running[0]
	long, short, more := s.Title, shortID(s.ID, g.label), ""
	if g.kind == pairsGroup {
		long = s.Cluster + ": " + long
	}
	if n := len(running) - 1; n > 0 {
		more = fmt.Sprintf(" (+%d)", n)
	}
	state := t.state(t.progress[s.ID])
	if body := long + more + state; cells(body) <= room || cells(short) >= cells(long) {
		return body
	}
	return short + more + state
}

func (t *Terminal) state(p *progress) string {
	dot := t.out.text(symbolDot)
	switch {
	case p.last.State != "":
		return dot + clean(p.last.State)
	case changing(p):
		return dot + verb(p.last.Change).going
	}
	return dot + "looking at what is there"
}

// waiting names the first thing that a group waits for.
func (t *Terminal) waiting(g *group, room int) string {
	for _, s := range g.steps {
		if t.progress[s.ID].last.Kind.Final() {
			continue
		}
		for _, need := range s.Needs {
			if p, ok := t.progress[need]; !ok || p.last.Kind.Final() {
				continue
			}
			if long := "waiting for " + t.title(need); cells(long) <= room {
				return long
			}
			return "waiting for " + need
		}
	}
	return "waiting"
}

// title is the name of a step for people, with its cluster.
func (t *Terminal) title(id string) string {
	for _, s := range t.steps {
		switch {
		case s.ID != id || s.Title == "":
			continue
		case s.Cluster == "":
			return s.Title
		}
		return s.Title + " in " + s.Cluster
	}
	return id
}
