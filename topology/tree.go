// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit))
}

// reason is an I/O error without the operation and the path, which the problem names already.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// readTree checks the text and reads its one YAML document; false means that nothing more
// can be said about it.
func readTree(c *collector, data []byte) (*yaml.Node, bool) {
	if !checkText(c, data) {
		return nil, false
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		c.at(place{line: 1, column: 1}, "", "the file is empty", "write a topology, beginning with apiVersion: "+APIVersion)
		return nil, false
	case err != nil:
		c.syntax(err)
		return nil, false
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		c.at(place{line: 1, column: 1}, "", "the file is empty", "write a topology, beginning with apiVersion: "+APIVersion)
		return nil, false
	}
	if root.Kind != yaml.MappingNode {
		c.at(place{line: root.Line, column: root.Column}, "", "a mapping is expected, not "+describe(root),
			"write a topology, beginning with apiVersion: "+APIVersion)
		return nil, false
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return root, true
	case err != nil:
		c.syntax(err)
	default:
		c.at(place{line: second.Line, column: second.Column}, "", "there is more than one document",
			"keep one topology in each file and remove the line ---")
	}
	return nil, false
}

// checkText refuses what no YAML parser should see.
func checkText(c *collector, data []byte) bool {
	if len(data) > MaxFileSize {
		c.at(place{line: 1, column: 1}, "", fmt.Sprintf("the file is larger than %d bytes", MaxFileSize), "write a smaller file; a topology needs a few kilobytes")
		return false
	}
	if !utf8.Valid(data) {
		line, column := firstInvalid(data)
		c.at(place{line: line, column: column}, "", "this is not valid UTF-8", "save the file as UTF-8")
		return false
	}
	if offset := strings.IndexFunc(string(data), func(r rune) bool { return !allowed(r) }); offset >= 0 {
		before := data[:offset]
		line := bytes.Count(before, []byte("\n")) + 1
		column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
		r, _ := utf8.DecodeRune(data[offset:])
		c.at(place{line: line, column: column}, "", fmt.Sprintf("the character %U is not allowed in YAML", r), "remove it, or write it as an escape in double quotes")
		return false
	}
	for i, text := range strings.Split(string(data), "\n") {
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			if c.full() {
				continue
			}
			// Not c.at: every such line is told, and none of them has a path.
			c.problems = append(c.problems, c.problem(place{line: i + 1, column: tab + 1}, "", "a tab is used to indent", "use spaces"))
		}
	}
	return len(c.problems) == 0
}

// allowed says whether YAML accepts a character (YAML 1.2.2, 5.1).
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || 0x20 <= r && r <= 0x7e || r == 0x85 ||
		0xa0 <= r && r <= 0xd7ff || 0xe000 <= r && r <= 0xfffd || 0x10000 <= r
}

func firstInvalid(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return line, column
}

// syntax turns an error of the YAML parser, which tells the place only in its text, into a problem.
func (c *collector) syntax(err error) {
	message := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), " at <unknown position>", "")
	where := place{line: 1, column: 1}
	// The last place is the one of the mistake; an earlier one is that of its context.
	if all := regexp.MustCompile(`line (\d+)(?:, column (\d+))?`).FindAllStringSubmatch(message, -1); all != nil {
		m := all[len(all)-1]
		where.line, _ = strconv.Atoi(m[1])
		if m[2] != "" {
			where.column, _ = strconv.Atoi(m[2])
		}
	}
	c.at(where, "", "this is not YAML: "+message, "correct the line; strings with special characters need quotes")
}

// shallow refuses trees that are nested deeper than any topology is, whose paths would fill
// the memory.
func (d *decoder) shallow(path string, n *yaml.Node, depth int) bool {
	if depth == 0 {
		d.at(d.place(n), path, fmt.Sprintf("lists and mappings are nested more than %d deep", MaxDepth), "nest less")
		return false
	}
	for _, child := range n.Content {
		if !d.shallow(path, child, depth-1) {
			return false
		}
	}
	return true
}
