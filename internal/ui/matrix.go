// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Mark is how a check ended. Its values are those of a VerifyReport's status.
type Mark string

// The marks, best first. An empty or unknown Mark shows as Skip.
const (
	Pass         Mark = "pass"
	Warn         Mark = "warn"
	Fail         Mark = "fail"
	Inconclusive Mark = "inconclusive"
	Skip         Mark = "skip"
)

var marks = []struct {
	mark   Mark
	symbol symbol
	legend string
}{
	{Pass, symbol{"✔", "ok", green}, "pass"},
	{Warn, symbol{"!", "!", yellow}, "warning"},
	{Fail, symbol{"✘", "XX", red}, "fail"},
	{Inconclusive, symbol{"?", "?", yellow}, "inconclusive"},
	{Skip, symbol{"-", "-", faint}, "skipped"},
}

// markIndex finds a mark in marks; what is not known is Skip.
func markIndex(m Mark) int {
	for i, known := range marks {
		if known.mark == m {
			return i
		}
	}
	return len(marks) - 1
}

// Matrix writes, for each suite, one cell for each pair of clusters: rows are where
// requests come from, columns where they go. Suites stand side by side as far as the width
// allows. Where not even one fits, columns are numbered. A legend names the marks that occur.
func Matrix(w io.Writer, from, to, suites []string, cell func(from, to, suite string) Mark) error {
	out := outputOf(w)
	m := newMatrix(out, from, to)
	var b strings.Builder
	for _, band := range m.bands(suites) {
		m.writeBand(&b, band, cell)
		b.WriteString("\n")
	}
	b.WriteString(m.legend())
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing matrix: %w", err)
	}
	return nil
}

const (
	corner   = "from \\ to"
	suiteGap = "    "
)

type matrix struct {
	out      *Output
	gap      string // between two columns of a suite
	from, to []string
	rows     []string // labels
	columns  []string // labels
	seen     [5]bool  // by index into marks
}

func newMatrix(out *Output, from, to []string) *matrix {
	m := &matrix{out: out, gap: gap, from: from, to: to, rows: slices.Clone(from), columns: slices.Clone(to)}
	if m.labelWidth()+len(suiteGap)+m.groupWidth() > out.columns() {
		m.gap = " "
		for i := range m.columns {
			m.columns[i] = fmt.Sprint(i + 1)
		}
		for i, name := range m.rows {
			if n := slices.Index(to, name); n >= 0 {
				m.rows[i] = fmt.Sprintf("%d %s", n+1, name)
			}
		}
	}
	return m
}

func (m *matrix) labelWidth() int {
	width := cells(corner)
	for _, label := range m.rows {
		width = max(width, cells(label))
	}
	return width
}

func (m *matrix) columnWidth(i int) int { return max(2, cells(m.columns[i])) }

// groupWidth is the width of one suite's columns, without its title.
func (m *matrix) groupWidth() int {
	width := 0
	for i := range m.columns {
		width += m.columnWidth(i) + len(m.gap)
	}
	return max(0, width-len(m.gap))
}

// bands splits suites into rows of suites that fit side by side, about as many in each.
func (m *matrix) bands(suites []string) [][]string {
	bands := m.split(suites, len(suites))
	if len(bands) < 2 {
		return bands
	}
	even := (len(suites) + len(bands) - 1) / len(bands)
	return m.split(suites, even)
}

// split puts into each band what fits, and at most so many suites.
func (m *matrix) split(suites []string, most int) [][]string {
	var bands [][]string
	used := 0
	for _, suite := range suites {
		width := len(suiteGap) + max(m.groupWidth(), cells(suite))
		if last := len(bands) - 1; last < 0 || len(bands[last]) == most || used+width > m.out.columns() {
			bands = append(bands, nil)
			used = m.labelWidth()
		}
		bands[len(bands)-1] = append(bands[len(bands)-1], suite)
		used += width
	}
	return bands
}

func (m *matrix) writeBand(b *strings.Builder, suites []string, cell func(from, to, suite string) Mark) {
	label := m.labelWidth()
	titles, names := pad(corner, label), pad("", label)
	for _, suite := range suites {
		width := max(m.groupWidth(), cells(suite))
		titles += suiteGap + pad(suite, width)
		names += suiteGap + pad(strings.Join(m.centered(m.columns), m.gap), width)
	}
	b.WriteString(m.out.paint(bold, strings.TrimRight(titles, " ")) + "\n")
	b.WriteString(m.out.paint(faint, strings.TrimRight(names, " ")) + "\n")
	for row, from := range m.from {
		b.WriteString(strings.TrimRight(m.row(label, row, from, suites, cell), " ") + "\n")
	}
}

func (m *matrix) row(label, row int, from string, suites []string, cell func(from, to, suite string) Mark) string {
	line := pad(m.rows[row], label)
	for _, suite := range suites {
		symbols := make([]string, len(m.to))
		found := make([]style, len(m.to))
		for i, to := range m.to {
			n := markIndex(cell(from, to, suite))
			m.seen[n] = true
			symbols[i], found[i] = m.out.text(marks[n].symbol), marks[n].symbol.style
		}
		group := m.centered(symbols)
		width := cells(strings.Join(group, m.gap))
		for i := range group {
			group[i] = strings.Replace(group[i], symbols[i], m.out.paint(found[i], symbols[i]), 1)
		}
		line += suiteGap + strings.Join(group, m.gap) + strings.Repeat(" ", max(0, cells(suite)-width))
	}
	return line
}

// centered puts each text in the middle of its column.
func (m *matrix) centered(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = center(text, m.columnWidth(i))
	}
	return out
}

func (m *matrix) legend() string {
	var parts []string
	for i, seen := range m.seen {
		if seen {
			parts = append(parts, m.out.draw(marks[i].symbol)+" "+marks[i].legend)
		}
	}
	return strings.Join(parts, "   ") + "\n"
}
