// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import "strings"

// Matrix is what was found between clusters.
type Matrix struct {
	// Clusters in the order in which they are shown.
	Clusters []string
	// Suites in the order in which they are shown.
	Suites []string
	// Cell is what a suite found from one cluster to another. It must be set.
	Cell func(from, to, suite string) Cell
}

// Cell is how the checks of one suite between two clusters ended.
type Cell struct {
	// Mark is the worst.
	Mark Mark
	// Passed of so many passed; skipped ones are not counted.
	Passed, Of int
}

// listed is how many pairs are shown one in a line, with the counts of each suite. More of
// them are shown as a grid.
const listed = 12

// matrix writes a row for each ordered pair with a column for each suite, or, where that is
// too wide, a row for each suite with a column for each pair, and when
// there are many pairs or little room, a grid of clusters with one character for each suite
// in each cell. Nothing is wider than the output but a name that is.
func (o *Output) matrix(b *strings.Builder, matrix Matrix) {
	pairs := len(matrix.Clusters) * (len(matrix.Clusters) - 1)
	if pairs <= listed {
		plain, across := &list{}, newTurned(o, matrix)
		for _, form := range []*list{plain, {grouped: true}, {grouped: true, cut: true}} {
			form.out, form.matrix = o, matrix
			if form.measure(); form.width() <= o.columns() {
				form.write(b)
				return
			}
			if form == plain && across.width() <= o.columns() {
				across.write(b)
				return
			}
		}
	}
	newGrid(o, matrix).write(b)
}

// sum adds up a suite's checks between all pairs. Its mark is that of the worst.
func (m Matrix) sum(suite string) Cell {
	sum, worst := Cell{Mark: Skip}, -1
	order := []Mark{Skip, Pass, Warn, Inconclusive, Fail}
	for _, from := range m.Clusters {
		for _, to := range m.Clusters {
			if from == to {
				continue
			}
			c := m.Cell(from, to, suite)
			sum.Passed += c.Passed
			sum.Of += c.Of
			for i, mark := range order {
				if mark == c.Mark && i > worst {
					sum.Mark, worst = mark, i
				}
			}
		}
	}
	return sum
}
