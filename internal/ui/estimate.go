// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
	"time"
)

// unlisted is the weight of an item without an expectation: small, but it moves the bar.
const unlisted = time.Second

func (i *item) weight() time.Duration { return max(i.Expected, unlisted) }

// count is how many items have ended.
func (p *Progress) count() int {
	n := 0
	for _, i := range p.items {
		if !i.ended.IsZero() {
			n++
		}
	}
	return n
}

// weights sums what there is to do and what is done, skipped items left out. A running
// item counts for the time that it has had, but never as quite done.
func (p *Progress) weights() (total, ended, running time.Duration) {
	pace := p.pace()
	for _, i := range p.items {
		switch {
		case i.skipped:
			continue
		case !i.ended.IsZero():
			ended += i.weight()
		case !i.started.IsZero():
			had := time.Duration(float64(p.now().Sub(i.started)) / pace)
			running += min(had, i.weight()*19/20)
		}
		total += i.weight()
	}
	return total, ended, running
}

// pace is how long the items that ended took, by what was expected of them: 2 is half as
// fast as usual. The expectation counts like a tenth of the work, so that the first small
// item does not decide.
func (p *Progress) pace() float64 {
	var total, expected, took time.Duration
	for _, i := range p.items {
		if i.skipped {
			continue
		}
		total += i.weight()
		if !i.ended.IsZero() {
			expected += i.weight()
			took += i.ended.Sub(i.started)
		}
	}
	prior := max(total/10, unlisted)
	return max(float64(took+prior)/float64(expected+prior), 0.01)
}

// left estimates the time left, one item after another; 0 when nothing is.
func (p *Progress) left() time.Duration {
	total, ended, running := p.weights()
	side := 0
	for _, i := range p.items {
		if !i.started.IsZero() && i.ended.IsZero() {
			side++
		}
	}
	return time.Duration(float64(total-ended-running) * p.pace() / float64(max(side, 1)))
}

// frame is a line for each running item, and the bar.
func (p *Progress) frame() []string {
	now, width := p.now(), p.out.columns()-1
	var lines []string
	for _, i := range p.items {
		if i.started.IsZero() || !i.ended.IsZero() {
			continue
		}
		clock := gap + Clock(now.Sub(i.started))
		if i.Expected > 0 && width >= 59 {
			clock += " of ~" + Clock(i.Expected)
		}
		body := i.Name
		if i.state != "" {
			body += p.out.text(symbolDot) + clean(i.state)
		}
		room := width - 2 - cells(clock)
		lines = append(lines, p.out.spinner(now)+" "+pad(p.out.fit(body, room), room)+p.out.paint(faint, clock))
	}
	return append(lines, p.bar(now, width))
}

// bar is the share that is done, drawn and in words.
func (p *Progress) bar(now time.Time, width int) string {
	total, ended, running := p.weights()
	share := 1.0
	if total > 0 {
		share = float64(ended+running) / float64(total)
	}
	words := fmt.Sprintf("%3d%%%s%d of %d%s%s", int(share*100), gap, p.count(), len(p.items), gap, Clock(now.Sub(p.started)))
	if left := p.left(); left > 0 {
		words += p.out.text(symbolDot) + About(left) + " left"
	}
	room := min(30, width-4-cells(words))
	if room < 5 {
		return "  " + p.out.fit(strings.TrimSpace(words), width-2)
	}
	return "  " + p.out.bar(share, room) + " " + words
}
