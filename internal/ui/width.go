// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pad fills text with spaces up to width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-cells(text)))
}

// padLeft fills text with spaces before it up to width.
func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-cells(text))) + text
}

// center puts text in the middle of width, leaning left.
func center(text string, width int) string {
	left := max(0, width-cells(text)) / 2
	return pad(strings.Repeat(" ", left)+text, width)
}

// fit cuts text to width, and says that it did.
func (o *Output) fit(text string, width int) string {
	if cells(text) <= width {
		return text
	}
	more := o.text(symbolMore)
	keep := width - cells(more)
	if keep <= 0 {
		return head(text, width)
	}
	return strings.TrimRight(head(text, keep), " ") + more
}

// clean makes one harmless line of text from elsewhere: no control characters, no runs of
// space.
func clean(text string) string {
	if plainLine(text) {
		return text
	}
	return strings.Join(strings.Fields(printable(text)), " ")
}

// plainLine says that clean would change nothing, which is so of nearly all that is shown.
func plainLine(text string) bool {
	space := true // one at the beginning goes
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == ' ' && space {
			return false
		}
		space = text[i] == ' '
	}
	return !space || text == ""
}

// printable takes out escape sequences, control characters other than newline and tab, and
// characters that only change how others are shown, such as those that turn the direction.
func printable(text string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		if cut := escapeLength(rest); cut > 0 {
			rest = rest[cut:]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) && r != utf8.RuneError {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapeLength is the length of the ANSI control sequence that text begins with, or 0.
func escapeLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text); i++ {
		if text[i] >= 0x40 && text[i] <= 0x7e {
			return i + 1
		}
	}
	return len(text)
}

// wrap breaks text between words into lines of at most width; a longer word stays whole,
// so that addresses and commands can be copied.
func wrap(text string, width int) []string {
	return strings.Split(strings.TrimSuffix(flow(words(text), " ", width), "\n"), "\n")
}

// words splits text at spaces, but not between backquotes: a command is one word.
func words(text string) []string {
	if strings.Count(text, "`")%2 == 1 {
		return strings.Fields(text)
	}
	var all []string
	open := false
	for _, word := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + word
		} else {
			all = append(all, word)
		}
		if strings.Count(word, "`")%2 == 1 {
			open = !open
		}
	}
	return all
}

// flow joins parts to lines of at most width, each ended; a longer part has its own line.
func flow(parts []string, separator string, width int) string {
	var lines []string
	used := 0
	for _, part := range parts {
		size := cells(printable(part))
		if last := len(lines) - 1; last >= 0 && used+cells(separator)+size <= width {
			lines[last] += separator + part
			used += cells(separator) + size
			continue
		}
		lines = append(lines, part)
		used = size
	}
	return strings.Join(lines, "\n") + "\n"
}
