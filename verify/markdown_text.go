// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"
)

// page is text that does not grow beyond a limit.
type page struct {
	text strings.Builder
	left int
}

// reserve is kept for saying what was left out and for closing what is open.
const reserve = 512

// fits says whether some text can still be added.
func (p *page) fits(text string) bool { return len(text)+reserve <= p.left }

func (p *page) block(text string) {
	p.text.WriteString(text)
	p.left -= len(text)
}

// items writes texts as long as they fit, and says how many did not.
func (p *page) items(all []string) {
	for i, text := range all {
		if !p.fits(text) {
			p.block(fmt.Sprintf("\n%d more are left out here; the JSON report has them.\n", len(all)-i))
			return
		}
		p.block(text)
	}
}

// shortened cuts long words at a whole character and leaves no line break in them.
func shortened(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	for i := range text {
		if i > markdownWords {
			return text[:i] + " ..."
		}
	}
	return text
}

// escaped is text that Markdown and HTML take as it is.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range shortened(text) {
		switch {
		case c < ' ' || c == 0x7f:
			continue
		// A > means something at the beginning of a line only, where none of this is.
		case strings.ContainsRune("\\`*_[]|~#!$@", c):
			b.WriteRune('\\')
		case c == '<':
			b.WriteString("&lt;")
			continue
		case c == '&':
			b.WriteString("&amp;")
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// span is text as a code span: its fence is longer than any run of its own backticks.
func span(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, shortened(text))
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}
