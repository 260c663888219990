// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
)

// Timeline is who answered a steady load, in equal steps of time from its start.
type Timeline struct {
	// Label says which load it is, and tells lines apart.
	Label string
	// Own, Other and Lost count the answers of the caller's own cluster, those of the other one,
	// and what got none that was good. They are equally long.
	Own, Other, Lost []int
	// Fault and Repair are the steps in which those were; 0 before they are.
	Fault, Repair int
}

// timelineLabel is the part of a line, one in so many, that its label may take.
const timelineLabel = 2

// timelines are the lines of some loads and what their symbols mean; nothing without a load.
func (o *Output) timelines(all []Timeline, width int) []string {
	if len(all) == 0 {
		return nil
	}
	label, longest := 0, 1
	for _, t := range all {
		label, longest = max(label, cells(t.Label)), max(longest, len(t.Own))
	}
	label = min(label, width/timelineLabel)
	room := max(width-2-label-len(gap), 1)
	group := (longest + room - 1) / room
	var lines []string
	for _, t := range all {
		lines = append(lines, strings.TrimRight("  "+pad(o.fit(t.Label, label), label)+gap+o.timeline(t, group), " "))
	}
	var words []string
	for _, m := range []struct {
		mark answers
		says string
	}{{answers{own: true}, "own cluster"}, {answers{other: true}, "other cluster"}, {answers{own: true, other: true}, "both"}, {answers{lost: true}, "lost"}} {
		words = append(words, o.answered(m.mark)+" "+m.says)
	}
	legend := strings.Join(words, gap) + gap + fmt.Sprintf("| fault, repair%s%d ms each", gap, group*timelineStep)
	if cells(printable(legend))+2 <= width {
		lines = append(lines, "  "+legend)
	}
	return lines
}

// timelineStep is the resolution of the loads of verify, in milliseconds.
const timelineStep = 100

// answers say what a group of steps saw.
type answers struct{ own, other, lost, turn bool }

// timeline is one line, a symbol for each group of steps.
func (o *Output) timeline(t Timeline, group int) string {
	var b strings.Builder
	for at := 0; at < len(t.Own); at += group {
		var a answers
		for i := at; i < min(at+group, len(t.Own)); i++ {
			a.own, a.other, a.lost = a.own || t.Own[i] > 0, a.other || t.Other[i] > 0, a.lost || t.Lost[i] > 0
			a.turn = a.turn || i > 0 && (i == t.Fault || i == t.Repair)
		}
		b.WriteString(o.answered(a))
	}
	return b.String()
}

// answered is the symbol of a group. A lost request hides who answered the others.
func (o *Output) answered(a answers) string {
	symbols := []string{"|", "×", "▚", "█", "░", " "}
	if o.ASCII {
		symbols = []string{"|", "x", "%", "#", "o", " "}
	}
	switch {
	case a.turn:
		return o.paint(bold, symbols[0])
	case a.lost:
		return o.paint(red, symbols[1])
	case a.own && a.other:
		return symbols[2]
	case a.own:
		return o.paint(green, symbols[3])
	case a.other:
		return o.paint(cyan, symbols[4])
	}
	return symbols[5]
}
