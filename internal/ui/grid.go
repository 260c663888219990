// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"slices"
	"strings"
)

const corner = "from \\ to"

// grid is a matrix with a row and a column for each cluster and one character for each
// suite in each cell.
type grid struct {
	out     *Output
	matrix  Matrix
	rows    []string // labels
	columns []string // labels
	label   int      // width of a row's label
	seen    [len(marks)]bool
}

// newGrid numbers the clusters when their names would not fit as titles of columns.
func newGrid(out *Output, matrix Matrix) *grid {
	g := &grid{out: out, matrix: matrix, rows: slices.Clone(matrix.Clusters), columns: slices.Clone(matrix.Clusters)}
	g.measure()
	width := g.label
	for i := range g.columns {
		width += len(gap) + g.width(i)
	}
	if width > out.columns() {
		digits := len(fmt.Sprint(len(g.rows)))
		for i, name := range matrix.Clusters {
			number := fmt.Sprint(i + 1)
			g.columns[i] = number
			g.rows[i] = padLeft(number, digits) + " " + name
		}
		g.measure()
	}
	return g
}

// measure finds the width of the rows' labels, which leave room for a column at least.
func (g *grid) measure() {
	g.label = cells(corner)
	for _, label := range g.rows {
		g.label = max(g.label, cells(label))
	}
	g.label = min(g.label, max(g.out.columns()-len(gap)-g.width(0), cells(corner)))
}

// width is that of a column.
func (g *grid) width(i int) int {
	if i >= len(g.columns) {
		return 0
	}
	return max(len(g.matrix.Suites), cells(g.columns[i]))
}

func (g *grid) write(b *strings.Builder) {
	for from := 0; from < len(g.columns); {
		to := from + 1
		for used := g.label + len(gap) + g.width(from); to < len(g.columns); to++ {
			if used += len(gap) + g.width(to); used > g.out.columns() {
				break
			}
		}
		g.band(b, from, to)
		b.WriteString("\n")
		from = to
	}
	g.footer(b)
}

// band writes all rows with the columns between two indexes.
func (g *grid) band(b *strings.Builder, first, end int) {
	title := pad(corner, g.label)
	for i := first; i < end; i++ {
		title += gap + center(g.columns[i], g.width(i))
	}
	b.WriteString(g.out.paint(bold, strings.TrimRight(title, " ")) + "\n")
	for i, from := range g.matrix.Clusters {
		line := pad(g.out.fit(g.rows[i], g.label), g.label)
		for n := first; n < end; n++ {
			line += gap + g.cell(from, g.matrix.Clusters[n], g.width(n))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// cell is one character for each suite, in the middle of its column.
func (g *grid) cell(from, to string, width int) string {
	if from == to {
		dot := g.out.text(symbolWaiting)
		return strings.Replace(center(dot, width), dot, g.out.draw(symbolWaiting), 1)
	}
	bare, painted := "", ""
	for _, suite := range g.matrix.Suites {
		i := markIndex(g.matrix.Cell(from, to, suite).Mark)
		g.seen[i] = true
		s := g.out.letter(i)
		bare += g.out.text(s)
		painted += g.out.draw(s)
	}
	if bare == "" {
		return center("", width)
	}
	return strings.Replace(center(bare, width), bare, painted, 1)
}

// footer says what the characters of a cell stand for, with the sums of each suite.
func (g *grid) footer(b *strings.Builder) {
	parts := make([]string, len(g.matrix.Suites))
	for i, suite := range g.matrix.Suites {
		sum := g.matrix.sum(suite)
		parts[i] = fmt.Sprintf("%s %d/%d", suite, sum.Passed, sum.Of)
		if i < len(parts)-1 {
			parts[i] += ","
		}
	}
	b.WriteString("each cell, in this order:\n" + flow(parts, " ", g.out.columns()))
	b.WriteString(g.out.legend(g.seen, g.out.letter))
}
