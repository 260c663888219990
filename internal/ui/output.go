// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// defaultColumns is the width that is written for when there is no terminal.
const defaultColumns = 80

// defaultRows is the height of a terminal that does not say.
const defaultRows = 24

// Output is a writer that knows what it can show. The zero value with a Writer is plain
// text for 80 columns.
type Output struct {
	// Writer is where everything goes.
	Writer io.Writer
	// Terminal says that lines can be redrawn in place.
	Terminal bool
	// Color says that colours are wanted and understood.
	Color bool
	// ASCII says to use no character beyond ASCII.
	ASCII bool
	// Size returns columns and rows; nil means 80 columns and no limit of rows.
	Size func() (columns, rows int)
}

// Detect looks at a stream, normally os.Stdout or os.Stderr, and at the environment
// variables NO_COLOR, TERM, CI, LC_ALL, LC_CTYPE and LANG, normally with os.Getenv. A
// terminal that says nothing of itself or that is dumb, and one whose output a CI system
// keeps, gets plain text. It does not block.
func Detect(w io.Writer, getenv func(string) string) *Output {
	out := &Output{Writer: w, ASCII: ascii(getenv)}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || !redraws(getenv) {
		return out
	}
	out.Terminal = true
	out.Color = getenv("NO_COLOR") == ""
	out.Size = func() (int, int) {
		columns, rows, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return defaultColumns, defaultRows
		}
		if rows <= 0 {
			rows = defaultRows
		}
		return columns, rows
	}
	return out
}

// redraws reports whether the environment speaks of a terminal that somebody looks at.
func redraws(getenv func(string) string) bool {
	switch strings.ToLower(getenv("CI")) {
	case "", "0", "false", "no":
	default:
		return false
	}
	name := getenv("TERM")
	return name != "" && name != "dumb"
}

// ascii reports whether the locale is set to something other than UTF-8. When it is not
// set at all, as in many containers, the terminal at the other end is nearly always UTF-8;
// the Linux console is not.
func ascii(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return !strings.Contains(value, "utf-8") && !strings.Contains(value, "utf8")
		}
	}
	return getenv("TERM") == "linux"
}

// Write passes data on unchanged.
func (o *Output) Write(data []byte) (int, error) { return o.Writer.Write(data) }

// columns is the width to write for, at least 20.
func (o *Output) columns() int {
	columns, _ := o.size()
	return columns
}

// size returns columns, at least 20, and rows, 0 when unknown.
func (o *Output) size() (columns, rows int) {
	columns = defaultColumns
	if o.Size != nil {
		columns, rows = o.Size()
	}
	if columns <= 0 {
		columns = defaultColumns
	}
	return max(columns, 20), max(rows, 0)
}

// outputOf returns w when it is an Output, and else plain text for 80 columns.
func outputOf(w io.Writer) *Output {
	if out, ok := w.(*Output); ok {
		return out
	}
	return &Output{Writer: w}
}
