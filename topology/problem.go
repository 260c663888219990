// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a topology file.
type Problem struct {
	// File is the file's name as it was given, or `--set path=value` when that argument,
	// and not a line of the file, is at fault.
	File string `json:"file,omitempty"`
	// Line and Column count from 1; both are 0 when no place in the file is meant.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path of the field, such as spec.clusters[1].network; empty for the file as a whole.
	Path string `json:"path,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Fix says what to write instead; it is never empty.
	Fix string `json:"fix"`
}

// String is file:line:column: path: message (fix), without the parts that are unknown.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	fmt.Fprintf(&b, "%s (%s)", p.Message, p.Fix)
	return b.String()
}

// Problems is everything that is wrong with a topology file, in file order; what --set
// arguments caused comes last. It is the error of Load and Parse.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by place; problems without a line come last.
func (ps Problems) sorted() Problems {
	place := func(p Problem) int {
		if p.Line == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Path, b.Path))
	})
	return ps
}
