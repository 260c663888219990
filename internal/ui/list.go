// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
)

// list is a matrix with a line for each pair.
type list struct {
	out     *Output
	matrix  Matrix
	grouped bool // where requests come from stands in a line of its own
	cut     bool // long names of suites are cut

	label  int   // width of a cluster's name
	widths []int // of each suite
	seen   [len(marks)]bool
}

// narrowest is how wide a cut name of a suite is at least.
const narrowest = 7

// measure finds the widths of columns.
func (l *list) measure() {
	l.label = cells("FROM")
	for _, name := range l.matrix.Clusters {
		l.label = max(l.label, cells(name))
	}
	l.widths = make([]int, len(l.matrix.Suites))
	for i, suite := range l.matrix.Suites {
		width := 0
		if l.summed() {
			width = cells(l.text(l.matrix.sum(suite)))
		}
		for _, from := range l.matrix.Clusters {
			for _, to := range l.matrix.Clusters {
				if from != to {
					width = max(width, cells(l.text(l.matrix.Cell(from, to, suite))))
				}
			}
		}
		title := cells(suite)
		if l.cut {
			title = min(title, max(width, narrowest))
		}
		l.widths[i] = max(width, title)
	}
}

// summed reports whether a line of sums says something new.
func (l *list) summed() bool { return len(l.matrix.Clusters) > 2 }

func (l *list) total() string {
	if !l.summed() {
		return ""
	}
	n := len(l.matrix.Clusters)
	return fmt.Sprintf("%d pairs", n*(n-1))
}

// lead is the width of what stands before the suites.
func (l *list) lead() int {
	if l.grouped {
		return max(len(gap)+l.label, cells(l.total()))
	}
	return l.label + len(gap) + l.label
}

func (l *list) width() int {
	width := l.lead()
	for _, w := range l.widths {
		width += len(gap) + w
	}
	return width
}

// text is a cell: its mark and how many passed.
func (l *list) text(c Cell) string {
	mark := l.out.text(marks[markIndex(c.Mark)].symbol)
	if c.Of == 0 {
		return mark
	}
	return fmt.Sprintf("%s %d/%d", mark, c.Passed, c.Of)
}

func (l *list) write(b *strings.Builder) {
	title := pad("FROM", l.label) + gap + pad("TO", l.label)
	if l.grouped {
		title = pad("", l.lead())
	}
	for i, suite := range l.matrix.Suites {
		title += gap + pad(l.out.fit(suite, l.widths[i]), l.widths[i])
	}
	b.WriteString(l.out.paint(bold, strings.TrimRight(title, " ")) + "\n")
	for _, from := range l.matrix.Clusters {
		if l.grouped {
			b.WriteString(from + " " + l.out.text(symbolArrow) + "\n")
		}
		for _, to := range l.matrix.Clusters {
			if from != to {
				l.row(b, from, to)
			}
		}
	}
	l.footer(b)
}

func (l *list) row(b *strings.Builder, from, to string) {
	line := pad(from, l.label) + gap + pad(to, l.label)
	if l.grouped {
		line = pad(gap+to, l.lead())
	}
	for i, suite := range l.matrix.Suites {
		c := l.matrix.Cell(from, to, suite)
		l.seen[markIndex(c.Mark)] = true
		line += gap + l.paint(c, l.widths[i])
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// paint is a cell in colour: all of it when it is not a pass.
func (l *list) paint(c Cell, width int) string {
	s, text := marks[markIndex(c.Mark)].symbol, l.text(c)
	rest := strings.Repeat(" ", width-cells(text))
	if c.Mark == Pass {
		return l.out.draw(s) + strings.TrimPrefix(text, l.out.text(s)) + rest
	}
	return l.out.paint(s.style, text) + rest
}

// footer is the line of sums, and the legend.
func (l *list) footer(b *strings.Builder) {
	if l.summed() {
		line := pad(l.total(), l.lead())
		for i, suite := range l.matrix.Suites {
			line += gap + pad(l.text(l.matrix.sum(suite)), l.widths[i])
		}
		b.WriteString(l.out.paint(faint, strings.TrimRight(line, " ")) + "\n")
	}
	l.legend(b)
}

// legend explains the marks that were shown, unless everything passed.
func (l *list) legend(b *strings.Builder) {
	var onlyPass [len(marks)]bool
	onlyPass[markIndex(Pass)] = true
	if l.seen != onlyPass {
		b.WriteString("\n" + l.out.legend(l.seen, func(i int) symbol { return marks[i].symbol }))
	}
}
