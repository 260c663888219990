// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import "strings"

// turned is a matrix with a line for each suite and a column for each pair: few pairs and many
// suites need less room so.
type turned struct {
	list
	pairs  [][2]string
	titles []string
	label  int // width of a suite's name
	widths []int
}

func newTurned(o *Output, m Matrix) *turned {
	t := &turned{list: list{out: o, matrix: m}}
	for _, from := range m.Clusters {
		for _, to := range m.Clusters {
			if from != to {
				t.pairs = append(t.pairs, [2]string{from, to})
				t.titles = append(t.titles, from+" "+o.text(symbolArrow)+" "+to)
			}
		}
	}
	if t.summed() {
		t.titles = append(t.titles, t.total())
	}
	for _, suite := range m.Suites {
		t.label = max(t.label, cells(suite))
	}
	t.widths = make([]int, len(t.titles))
	for i, title := range t.titles {
		t.widths[i] = cells(title)
		for _, suite := range m.Suites {
			t.widths[i] = max(t.widths[i], cells(t.text(t.at(i, suite))))
		}
	}
	return t
}

// at is a cell of a column; the one after the pairs is that of sums.
func (t *turned) at(column int, suite string) Cell {
	if column == len(t.pairs) {
		return t.matrix.sum(suite)
	}
	return t.matrix.Cell(t.pairs[column][0], t.pairs[column][1], suite)
}

func (t *turned) width() int {
	width := t.label
	for _, w := range t.widths {
		width += len(gap) + w
	}
	return width
}

func (t *turned) write(b *strings.Builder) {
	line := pad("", t.label)
	for i, title := range t.titles {
		line += gap + pad(title, t.widths[i])
	}
	b.WriteString(t.out.paint(bold, strings.TrimRight(line, " ")) + "\n")
	for _, suite := range t.matrix.Suites {
		line := pad(suite, t.label)
		for i := range t.titles {
			c := t.at(i, suite)
			t.seen[markIndex(c.Mark)] = true
			line += gap + t.paint(c, t.widths[i])
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	t.legend(b)
}
