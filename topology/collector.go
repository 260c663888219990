// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// place is where in the input a field was said.
type place struct {
	set          string // the --set argument, or empty for the file
	line, column int
	value        string // of a scalar
	empty        bool   // "", {} or []
}

// collector gathers problems and knows where each field was said. The first problem of a
// field silences later ones of the same field and of what is inside it, so that one mistake
// is told once.
type collector struct {
	file     string
	places   map[string]place
	silenced map[string]bool
	moved    []moved
	problems Problems
	more     int // problems beyond MaxProblems, which are only counted
	warnings Problems
}

func newCollector(file string) *collector {
	return &collector{file: file, places: map[string]place{}, silenced: map[string]bool{}, moved: movedFields()}
}

// said reports whether the input says anything about the path.
func (c *collector) said(path string) bool {
	_, ok := c.places[path]
	return ok
}

// at adds a problem at a known place.
func (c *collector) at(where place, path, message, fix string) {
	if c.isSilenced(path) {
		return
	}
	c.silence(path)
	if c.full() {
		return
	}
	c.problems = append(c.problems, c.problem(where, path, message, fix))
}

// full counts a problem that is not told, when there are enough.
func (c *collector) full() bool {
	if len(c.problems) < MaxProblems {
		return false
	}
	c.more++
	return true
}

// told is what the user reads: in file order, and at the end how many more there are.
func (c *collector) told() Problems {
	problems := c.problems.sorted()
	if c.more > 0 {
		last := problems[len(problems)-1]
		problems = append(problems, Problem{File: last.File, Line: last.Line, Column: last.Column,
			Message: fmt.Sprintf("there are %d more problems", c.more), Fix: "correct these first"})
	}
	return problems
}

// add adds a problem at the path's place, or at that of the nearest parent that was said.
func (c *collector) add(path, message, fix string) { c.at(c.find(path), path, message, fix) }

// warn adds a problem that does not prevent use.
func (c *collector) warn(path, message, fix string) {
	if !c.isSilenced(path) {
		c.warnings = append(c.warnings, c.problem(c.find(path), path, message, fix))
	}
}

func (c *collector) silence(path string) { c.silenced[path] = true }

func (c *collector) isSilenced(path string) bool {
	for ; path != ""; path = parent(path) {
		if c.silenced[path] {
			return true
		}
	}
	return false
}

func (c *collector) find(path string) place {
	for ; path != ""; path = parent(path) {
		if where, ok := c.places[path]; ok {
			return where
		}
	}
	return c.places[""]
}

func (c *collector) problem(where place, path, message, fix string) Problem {
	p := Problem{File: c.file, Line: where.line, Column: where.column, Path: tidy(path), Message: tidy(message), Fix: tidy(fix)}
	if where.set != "" {
		p.File, p.Line, p.Column = "--set "+printable(where.set), 0, 0
	}
	return p
}

// printable keeps an argument on one line, and pasted keys out of messages.
func printable(argument string) string {
	argument, _, _ = strings.Cut(argument, "-----BEGIN")
	argument = hideLogins(argument)
	if strings.ContainsFunc(argument, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(argument)
	}
	return argument
}

// hideLogins keeps passwords of addresses (user:password@host) out of a message.
func hideLogins(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return regexp.MustCompile(`:[^\s/@"]+@(?:sha256:)?`).ReplaceAllStringFunc(text, func(login string) string {
		if strings.HasSuffix(login, "@sha256:") { // image:tag@sha256:...
			return login
		}
		return ":***@"
	})
}

// tidy keeps secrets that were pasted into the file out of a message, and long values short.
func tidy(text string) string {
	text = hideLogins(text)
	if before, after, found := strings.Cut(text, "-----BEGIN"); found {
		rest := ""
		if end := strings.IndexByte(after, '"'); end >= 0 {
			rest = after[end:] // values are quoted, and no key holds a quote
		}
		text = before + "-----BEGIN..." + tidy(rest)
	}
	if r := []rune(text); len(r) > 400 {
		return string(r[:200]) + "..." + string(r[len(r)-200:])
	}
	return text
}

// parent drops the last part of a path; the parent of a top-level field is "".
func parent(path string) string {
	if strings.HasSuffix(path, `"]`) {
		return path[:max(strings.LastIndex(path, `["`), 0)]
	}
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
