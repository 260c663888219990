// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// step is one part of a --set path: a key of a mapping, the index of an item, or the name of
// an item in a list that is keyed by name.
type step struct {
	key   string
	index int
	kind  stepKind
}

type stepKind int

const (
	byKey stepKind = iota
	byIndex
	byName
)

// applySets lays path=value arguments over the tree and returns the argument that each new
// node came from.
func applySets(c *collector, root *yaml.Node, set []string) map[*yaml.Node]string {
	origin := map[*yaml.Node]string{}
	seen := map[string]bool{}
	for _, argument := range set {
		s := setter{collector: c, argument: argument, origin: origin}
		steps, value, ok := s.parse()
		if !ok || root.Kind != yaml.MappingNode {
			continue
		}
		if path := s.assign(root, steps, value); seen[path] {
			s.wrong(path, "the field is set twice", "keep one --set for each field")
		} else if path != "" {
			seen[path] = true
		}
	}
	return origin
}

// setter applies one --set argument.
type setter struct {
	*collector
	argument string
	origin   map[*yaml.Node]string
}

func (s *setter) wrong(path, message, fix string) {
	// Not at: two arguments may both be wrong without a path, and each shall be told.
	p := s.problem(place{set: s.argument}, path, message, fix)
	p.File = "--set " + printable(s.argument) // an empty argument too
	s.problems = append(s.problems, p)
}

// parse splits the argument at the first = that is not inside quotes.
func (s *setter) parse() ([]step, *yaml.Node, bool) {
	const form = "write path=value, such as spec.mesh.mtls=Strict or spec.clusters[west].network=blue"
	quoted := false
	for i, r := range s.argument {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '=' && !quoted:
			steps, err := parsePath(s.argument[:i])
			if err != nil {
				s.wrong("", "the path is wrong: "+err.Error(), form)
				return nil, nil, false
			}
			value, ok := s.value(s.argument[i+1:])
			return steps, value, ok
		}
	}
	s.wrong("", "there is no = in it", form)
	return nil, nil, false
}

// value reads the text after the = as YAML; nothing at all is the empty string.
func (s *setter) value(text string) (*yaml.Node, bool) {
	probe := newCollector("")
	if !checkText(probe, []byte(text)) {
		s.wrong("", probe.problems[0].Message, probe.problems[0].Fix)
		return nil, false
	}
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
		s.origin[node] = s.argument
		return node, true
	}
	if err == nil && !errors.Is(decoder.Decode(&more), io.EOF) {
		err = errors.New("it is more than one value")
	}
	if err != nil {
		s.wrong("", "the value is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "put the value in quotes: path='\"value\"'")
		return nil, false
	}
	s.own(document.Content[0])
	return document.Content[0], true
}

func (s *setter) own(n *yaml.Node) {
	s.origin[n] = s.argument
	for _, child := range n.Content {
		s.own(child)
	}
}

// assign puts the value where the steps lead, making mappings on the way, and returns the
// field's path, or "" after a problem.
func (s *setter) assign(root *yaml.Node, steps []step, value *yaml.Node) string {
	at, path := &root, ""
	for _, st := range steps {
		var ok bool
		if st.kind == byKey {
			at, ok = s.enterKey(*at, path, st.key)
			path = join(path, st.key)
		} else {
			at, path, ok = s.enterItem(*at, path, st)
		}
		if !ok {
			return ""
		}
	}
	*at = value
	return path
}

func (s *setter) enterKey(n *yaml.Node, path, key string) (**yaml.Node, bool) {
	if n.Kind != yaml.MappingNode {
		s.wrong(path, fmt.Sprintf("there is no key %q, because this is %s", key, describe(n)), "set a field of a mapping")
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return &n.Content[i+1], true
		}
	}
	keyNode := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
	child := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	s.origin[keyNode], s.origin[child] = s.argument, s.argument
	n.Content = append(n.Content, keyNode, child)
	return &n.Content[len(n.Content)-1], true
}

func (s *setter) enterItem(n *yaml.Node, path string, st step) (**yaml.Node, string, bool) {
	if n.Kind != yaml.SequenceNode {
		s.wrong(path, fmt.Sprintf("there are no items, because this is %s", describe(n)), "name a key, such as "+join(path, "key")+"=value")
		return nil, "", false
	}
	for i := range n.Content {
		if st.kind == byIndex && i == st.index || st.kind == byName && nameOf(n.Content[i]) == st.key {
			return &n.Content[i], fmt.Sprintf("%s[%d]", path, i), true
		}
	}
	s.wrong(path, fmt.Sprintf("there is no item %q among the %d of the list", st.key, len(n.Content)),
		"name an item that exists, counted from 0 or by its name, or set the whole list")
	return nil, "", false
}

func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "name" {
				return n.Content[i+1].Value
			}
		}
	}
	return ""
}

// parsePath reads spec.clusters[0].eastWest.service.annotations["a.io/b"].
func parsePath(text string) ([]step, error) {
	var steps []step
	for rest := text; rest != ""; {
		if rest[0] == '[' {
			st, after, err := parseBracket(rest)
			if err != nil {
				return nil, err
			}
			steps, rest = append(steps, st), after
			if rest != "" && rest[0] != '.' && rest[0] != '[' {
				return nil, fmt.Errorf("after ] comes . or [, not %q", shorten(rest))
			}
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 || strings.ContainsAny(rest[:end], "\"] \t\r\n") {
				return nil, fmt.Errorf("%q is no key", shorten(rest))
			}
			steps, rest = append(steps, step{key: rest[:end]}), rest[end:]
		}
		if rest == "." {
			return nil, errors.New("it ends with a dot")
		}
		if strings.HasPrefix(rest, ".[") {
			return nil, errors.New("a dot and a bracket follow each other")
		}
		rest = strings.TrimPrefix(rest, ".")
	}
	if len(steps) == 0 {
		return nil, errors.New("it is empty")
	}
	return steps, nil
}

func parseBracket(text string) (step, string, error) {
	if strings.HasPrefix(text, `["`) {
		quoted, err := strconv.QuotedPrefix(text[1:])
		if err != nil || !strings.HasPrefix(text[1+len(quoted):], "]") {
			return step{}, "", fmt.Errorf("%q is not closed", shorten(text))
		}
		key, err := strconv.Unquote(quoted)
		return step{key: key}, text[len(quoted)+2:], err
	}
	inside, after, ok := strings.Cut(text[1:], "]")
	if !ok || inside == "" {
		return step{}, "", fmt.Errorf("%q is not closed, or empty", shorten(text))
	}
	if index, err := strconv.Atoi(inside); err == nil {
		return step{key: inside, index: index, kind: byIndex}, after, nil
	}
	return step{key: inside, kind: byName}, after, nil
}
