// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"
)

// Block is the end of a command: how it went in one line, what was found between the
// clusters, facts, and what to do next.
type Block struct {
	// Problems are results that are not as they should be. They stand above everything, so
	// that many of them do not push the verdict off the screen.
	Problems []Problem
	// Mark chooses the symbol before the title.
	Mark Mark
	// Title is one line: "usmesh is up and proven in 1m24s".
	Title string
	// Notes say what limits the title, one in a line: "upstream Envoy in place of ...".
	Notes []string
	// Matrix is shown unless it is nil.
	Matrix *Matrix
	// Facts are names and values: {"ingress west", "http://127.0.0.1:8080"}.
	Facts [][2]string
	// Next are commands and what they do. Only the first three are shown.
	Next [][2]string
}

// Problem is one result and its words.
type Problem struct {
	// Mark is how it ended.
	Mark Mark
	// Text is one line: what it was about and what was found.
	Text string
}

// suggestions is how many commands people read.
const suggestions = 3

// WriteBlock writes a Block with empty lines around its parts. Commands and addresses are
// never broken or cut: they are there to be copied.
func WriteBlock(w io.Writer, block Block) error {
	out := outputOf(w)
	var b strings.Builder
	out.problems(&b, block.Problems)
	mark := marks[markIndex(block.Mark)].symbol
	fmt.Fprintf(&b, "\n%s %s\n", out.draw(mark), out.paint(bold, clean(block.Title)))
	for _, note := range block.Notes {
		out.hanging(&b, "  ", clean(note), faint)
	}
	if block.Matrix != nil {
		b.WriteString("\n")
		inner := *out
		inner.Size = func() (int, int) { return out.columns() - len(gap), 0 }
		var m strings.Builder
		inner.matrix(&m, *block.Matrix)
		for line := range strings.Lines(m.String()) {
			if line != "\n" {
				b.WriteString(gap)
			}
			b.WriteString(line)
		}
	}
	if len(block.Facts) > 0 {
		b.WriteString("\n")
		out.facts(&b, block.Facts)
	}
	if next := block.Next[:min(len(block.Next), suggestions)]; len(next) > 0 {
		fmt.Fprintf(&b, "\n%s\n", out.paint(bold, "Next"))
		out.commands(&b, next)
	}
	b.WriteString("\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing closing block: %w", err)
	}
	return nil
}

// problems writes what is not as it should be, each with its mark.
func (o *Output) problems(b *strings.Builder, problems []Problem) {
	for i, p := range problems {
		if i == 0 {
			b.WriteString("\n")
		}
		s := marks[markIndex(p.Mark)].symbol
		o.hanging(b, "  "+o.draw(s)+" ", clean(p.Text), none)
	}
}

// hanging writes text after a lead, its further lines below its first. Where lines are not
// for people to look at, it stays one line, for grep.
func (o *Output) hanging(b *strings.Builder, lead, text string, s style) {
	indent := cells(printable(lead))
	lines := []string{text}
	if o.Terminal {
		lines = wrap(text, o.columns()-indent)
	}
	for i, line := range lines {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		b.WriteString(lead + o.paint(s, line) + "\n")
	}
}

// facts writes names and values in two columns.
func (o *Output) facts(b *strings.Builder, facts [][2]string) {
	width := 0
	for _, fact := range facts {
		width = max(width, cells(clean(fact[0])))
	}
	for _, fact := range facts {
		name := gap + o.paint(faint, pad(clean(fact[0]), width)) + gap
		if clean(fact[1]) == "" {
			b.WriteString(strings.TrimRight(gap+clean(fact[0]), " ") + "\n")
			continue
		}
		o.hanging(b, name, clean(fact[1]), none)
	}
}

// commands writes commands with what they do beside them, or below when one of the lines
// would be too long.
func (o *Output) commands(b *strings.Builder, commands [][2]string) {
	width, why := 0, 0
	for _, c := range commands {
		width, why = max(width, cells(clean(c[0]))), max(why, cells(clean(c[1])))
	}
	beside := 2*len(gap)+width+why <= o.columns()
	for _, c := range commands {
		command, text := clean(c[0]), clean(c[1])
		switch {
		case text == "":
			b.WriteString(gap + o.paint(cyan, command) + "\n")
		case beside:
			b.WriteString(gap + o.paint(cyan, pad(command, width)) + gap + o.paint(faint, text) + "\n")
		default:
			b.WriteString(gap + o.paint(cyan, command) + "\n")
			o.hanging(b, gap+gap+gap, text, faint)
		}
	}
}
