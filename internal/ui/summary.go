// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// quick is the weight of a step without an expectation: small, but it moves the bar.
const quick = 200 * time.Millisecond

// summary is the last line: a bar, steps, elapsed time and, once something changes, time
// left. A single step says all of that itself.
func (t *Terminal) summary(now time.Time, width int) string {
	if len(t.steps) < 2 {
		return ""
	}
	final, good, end, stopping := 0, 0, t.started, false
	for _, s := range t.steps {
		p := t.progress[s.ID]
		if kind := p.last.Kind; kind.Final() {
			final++
			stopping = stopping || kind == graph.StepInterrupted
			if p.ended.After(end) {
				end = p.ended
			}
			if kind == graph.StepChanged || kind == graph.StepUnchanged {
				good++
			}
		}
	}
	if final < len(t.steps) {
		end = now
	}
	parts := []string{fmt.Sprintf("%d of %d steps", good, len(t.steps)), Clock(end.Sub(t.started))}
	bar := ""
	switch {
	case final == len(t.steps):
	case stopping:
		parts = append(parts, "stopping")
	case t.busy:
		if left := t.left(now); left > 0 {
			parts = append(parts, About(left)+" left")
		} else {
			parts = append(parts, "longer than usual")
		}
		if width >= roomy {
			bar = t.out.bar(t.done(now), min(30, width/4)) + gap
		}
	}
	text := t.out.fit(strings.Join(parts, t.out.text(symbolDot)), width-2-cells(printable(bar)))
	return "  " + bar + t.out.paint(faint, text)
}

// pace is how long steps take here, by what is expected of them: 2 is half as fast. Steps
// that are still running count once they take longer. The expectation counts like a tenth
// of the work, so that the first small step does not decide; and no step that is stuck says
// more than that this machine is slow.
func (t *Terminal) pace(now time.Time) float64 {
	var total, expected, took time.Duration
	for _, s := range t.steps {
		total += s.Expected
		p := t.progress[s.ID]
		had := now.Sub(p.started)
		switch {
		case s.Expected == 0 || !changing(p):
		case p.last.Kind == graph.StepChanged:
			expected += s.Expected
			took += p.ended.Sub(p.started)
		case p.running() && had > s.Expected:
			expected += s.Expected
			took += had
		}
	}
	prior := max(total/10, quick)
	return min(max(float64(took+prior)/float64(expected+prior), 0.25), 4)
}

// left estimates the time until every step that can still end has ended.
func (t *Terminal) left(now time.Time) time.Duration {
	pace, over := t.pace(now), map[string]bool{}
	steps := make([]graph.Step, len(t.steps))
	for i, s := range t.steps {
		p := t.progress[s.ID]
		s.Expected = time.Duration(float64(s.Expected) * pace)
		if p.last.Kind.Final() {
			over[s.ID] = true
		} else if !p.started.IsZero() {
			s.Expected = max(0, s.Expected-now.Sub(p.started))
		}
		steps[i] = s
	}
	return graph.Remaining(steps, over)
}

// done is the share of the work that is done. It never goes back, and a running step is
// never quite done.
func (t *Terminal) done(now time.Time) float64 {
	pace := t.pace(now)
	var total, done float64
	for _, s := range t.steps {
		p, weight := t.progress[s.ID], float64(max(s.Expected, quick))
		total += weight
		switch {
		case p.last.Kind.Final():
			done += weight
		case !p.started.IsZero():
			done += min(float64(now.Sub(p.started))/pace, weight*0.95)
		}
	}
	t.share = max(t.share, done/max(total, 1))
	return t.share
}

// bar draws a share in so many columns.
func (o *Output) bar(share float64, room int) string {
	full, empty := "━", "─"
	if o.ASCII {
		full, empty = "#", "-"
	}
	filled := min(int(share*float64(room)), room)
	return o.paint(green, strings.Repeat(full, filled)) + o.paint(faint, strings.Repeat(empty, room-filled))
}
