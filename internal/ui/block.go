// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
)

// Block is the end of a command: how it went in one line, facts, and what to do next.
type Block struct {
	// Mark chooses the symbol before the title.
	Mark Mark
	// Title is one line: "usmesh is up and proven in 1m24s".
	Title string
	// Facts are names and values: {"ingress west", "http://127.0.0.1:8080"}.
	Facts [][2]string
	// Next are commands and what they do.
	Next [][2]string
}

// WriteBlock writes a Block with empty lines around its parts. Values and commands are
// never wrapped or cut: they are there to be copied.
func WriteBlock(w io.Writer, block Block) error {
	out := outputOf(w)
	mark := marks[markIndex(block.Mark)].symbol
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s %s\n", out.draw(mark), out.paint(bold, clean(block.Title)))
	if len(block.Facts) > 0 {
		b.WriteString("\n")
		writePairs(&b, block.Facts, func(name, value string) string { return out.paint(faint, name) + value })
	}
	if len(block.Next) > 0 {
		fmt.Fprintf(&b, "\n%s\n", out.paint(bold, "Next"))
		writePairs(&b, block.Next, func(command, why string) string { return out.paint(cyan, command) + out.paint(faint, why) })
	}
	b.WriteString("\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing closing block: %w", err)
	}
	return nil
}

// writePairs writes two aligned columns, indented; join paints them.
func writePairs(b *strings.Builder, pairs [][2]string, join func(first, second string) string) {
	width := 0
	for _, pair := range pairs {
		width = max(width, cells(clean(pair[0])))
	}
	for _, pair := range pairs {
		first, second := clean(pair[0]), clean(pair[1])
		if second != "" {
			first = pad(first, width) + gap
		}
		b.WriteString("  " + join(first, second) + "\n")
	}
}
