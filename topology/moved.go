// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

// moved is a key that the format had. It is refused by name for as long as docs/topology-format.md
// promises, so that nobody is left with "unknown key".
type moved struct {
	path  string // [*] stands for any index
	since string // the release that dropped it
	to    string // what it is called now; empty when it is gone
	write string // what to write instead, after the word "write"
}

// movedFields is every key that a release had and this one does not: none so far.
func movedFields() []moved { return nil }

func (m moved) why() string {
	if m.to == "" {
		return "the key is gone since meshfed " + m.since
	}
	return "the key is called " + m.to + " since meshfed " + m.since
}

func (c *collector) movedAt(path string) (moved, bool) {
	for _, row := range c.moved {
		if pathPattern(row.path).MatchString(path) {
			return row, true
		}
	}
	return moved{}, false
}
