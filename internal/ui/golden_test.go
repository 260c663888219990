// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/golden"
)

// checkFile compares got with testdata/name. Escape characters are written as "\e", so that
// the files can be read and reviewed.
func checkFile(t *testing.T, name, got string) {
	t.Helper()
	golden.Check(t, "testdata/"+name, strings.ReplaceAll(got, "\x1b", `\e`))
}

// look is one way to look at something.
type look struct {
	name string
	out  Output
}

// looks are the ways in which every view is checked.
func looks() []look {
	wide := func() (int, int) { return 80, 24 }
	return []look{
		{"plain", Output{}},
		{"ascii", Output{Terminal: true, ASCII: true, Size: wide}},
		{"color", Output{Terminal: true, Color: true, Size: wide}},
	}
}

// goldenLooks writes something in every way and checks each against its file.
func goldenLooks(t *testing.T, name string, write func(*Output) error) {
	t.Helper()
	for _, l := range looks() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			l.out.Writer = &b
			if err := write(&l.out); err != nil {
				t.Fatal(err)
			}
			checkLines(t, b.String(), l.out.Color)
			checkFile(t, name+"."+l.name+".txt", b.String())
		})
	}
}

// checkLines holds for everything that is printed: no trailing spaces, and no escape
// sequence without colour.
func checkLines(t *testing.T, text string, color bool) {
	t.Helper()
	if !color && strings.Contains(text, "\x1b") {
		t.Error("escape sequence without colour")
	}
	for line := range strings.Lines(printable(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != strings.TrimRight(line, " ") {
			t.Errorf("trailing space in %q", line)
		}
	}
}
