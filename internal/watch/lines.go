// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"

	"github.com/meshfed/meshfed/verify"
)

// Line is changes of one kind and cause that came in the same round for the same clusters.
type Line struct {
	verify.Change
	// More of them than the one that is told.
	More int
}

// Lines puts together what has one cause: a remote secret that is gone fails four checks of a pair.
// The order is that of the changes.
func Lines(changes []verify.Change) []Line {
	type cause struct {
		kind           verify.ChangeKind
		from, to, code string
	}
	at := map[cause]int{}
	var lines []Line
	for _, c := range changes {
		if c.ID == "" {
			lines = append(lines, Line{Change: c})
			continue
		}
		key := cause{c.Kind, c.From, c.To, c.Code}
		if i, ok := at[key]; ok {
			lines[i].More++
			continue
		}
		at[key] = len(lines)
		lines = append(lines, Line{Change: c})
	}
	return lines
}

// String is the line without its time.
func (l Line) String() string {
	text := l.Line()
	switch {
	case l.More == 1:
		text += " (and 1 more check)"
	case l.More > 1:
		text += fmt.Sprintf(" (and %d more checks)", l.More)
	}
	return text
}
