// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
)

// gap is what stands between two columns.
const gap = "  "

// Table writes rows under a header, columns aligned, two spaces apart, no trailing space.
// A nil header is left out. On a terminal a long last column is wrapped below itself;
// elsewhere every row stays one line, for grep. Rows may be shorter than the header.
func Table(w io.Writer, header []string, rows [][]string) error {
	out := outputOf(w)
	t := newTable(out, header, rows)
	var b strings.Builder
	if header != nil {
		t.write(&b, header, bold)
	}
	for _, row := range rows {
		t.write(&b, row, none)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing table: %w", err)
	}
	return nil
}

// table is the widths of columns.
type table struct {
	out    *Output
	widths []int
}

func newTable(out *Output, header []string, rows [][]string) *table {
	t := &table{out: out}
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i == len(t.widths) {
				t.widths = append(t.widths, 0)
			}
			t.widths[i] = max(t.widths[i], cells(clean(cell)))
		}
	}
	return t
}

// indent is where the last column begins.
func (t *table) indent() int {
	indent := 0
	for _, width := range t.widths[:max(0, len(t.widths)-1)] {
		indent += width + len(gap)
	}
	return indent
}

// write adds one row. The style is that of the whole row.
func (t *table) write(b *strings.Builder, row []string, s style) {
	lines := []string{""}
	for i, cell := range row {
		cell = clean(cell)
		if i < len(t.widths)-1 {
			lines[0] += pad(cell, t.widths[i]) + gap
			continue
		}
		room := t.out.columns() - t.indent()
		if !t.out.Terminal || room < 16 {
			lines[0] += cell
			continue
		}
		for n, part := range wrap(cell, room) {
			if n > 0 {
				lines = append(lines, strings.Repeat(" ", t.indent()))
			}
			lines[n] += part
		}
	}
	for _, line := range lines {
		b.WriteString(t.out.paint(s, strings.TrimRight(line, " ")) + "\n")
	}
}
