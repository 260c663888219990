// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// allPaths lists every field of the types, the first item standing for each list.
func allPaths() []string {
	var paths []string
	var walk func(at reflect.Type, path string)
	walk = func(at reflect.Type, path string) {
		switch at.Kind() {
		case reflect.Pointer:
			walk(at.Elem(), path)
			return
		case reflect.Slice:
			walk(at.Elem(), path+"[0]")
		case reflect.Struct:
			for _, key := range fieldsOf(at).names {
				walk(at.Field(fieldsOf(at).index[key]).Type, join(path, key))
			}
		}
		if path != "" {
			paths = append(paths, path)
		}
	}
	walk(reflect.TypeFor[Topology](), "")
	return paths
}

// everything is a tree in which every field of the types is said.
func everything(t *testing.T) *yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(readOf(t, "testdata/everything.yaml"), &document); err != nil {
		t.Fatal(err)
	}
	return document.Content[0]
}

func TestEverythingSaysEveryField(t *testing.T) {
	t.Parallel()
	c := newCollector("everything.yaml")
	decoder := decoder{collector: c}
	decoder.topology(everything(t), new(Topology))
	if len(c.problems) > 0 {
		t.Errorf("the decoder refuses:\n%v", c.problems)
	}
	for _, path := range allPaths() {
		if !c.said(path) {
			t.Errorf("%s is not said", path)
		}
	}
}

// mutation changes one node; what says which message must follow at the node's own path.
type mutation struct {
	name    string
	applies func(n *yaml.Node) bool
	change  func(n *yaml.Node)
	inside  string // appended to the node's path
	want    string
}

func mutations() []mutation {
	always := func(*yaml.Node) bool { return true }
	is := func(k yaml.Kind) func(*yaml.Node) bool { return func(n *yaml.Node) bool { return n.Kind == k } }
	isNot := func(k yaml.Kind) func(*yaml.Node) bool { return func(n *yaml.Node) bool { return n.Kind != k } }
	scalar := func(text, tag string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text, Tag: tag} }
	become := func(n *yaml.Node, other yaml.Node) { other.Line, other.Column = n.Line, n.Column; *n = other }
	return []mutation{
		{"null", always, func(n *yaml.Node) { become(n, *scalar("", "!!null")) }, "", "the value is null"},
		{"alias", always, func(n *yaml.Node) { become(n, yaml.Node{Kind: yaml.AliasNode, Value: "a"}) }, "", "an alias (*a) is used"},
		{"anchor", always, func(n *yaml.Node) { n.Anchor = "a" }, "", "an anchor (&a) is used"},
		{"tag", always, func(n *yaml.Node) { n.Tag = "!x"; n.Style |= yaml.TaggedStyle }, "", "a tag (!x) is used"},
		{"list instead", isNot(yaml.SequenceNode), func(n *yaml.Node) { become(n, yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}) }, "", "is expected, not a list"},
		{"mapping instead", isNot(yaml.MappingNode), func(n *yaml.Node) { become(n, yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}) }, "", "is expected, not a mapping"},
		{"scalar instead", isNot(yaml.ScalarNode), func(n *yaml.Node) { become(n, *scalar("5", "!!int")) }, "", "is expected, not the number 5"},
		{"date instead", is(yaml.ScalarNode), func(n *yaml.Node) { become(n, *scalar("2026-01-01", "!!timestamp")) }, "", "is expected, not the date 2026-01-01"},
		{"number as key", is(yaml.MappingNode), func(n *yaml.Node) {
			n.Content = append(n.Content, scalar("7", "!!int"), scalar("a", "!!str"))
		}, ".7", "a key must be a plain string"},
		{"merge key", is(yaml.MappingNode), func(n *yaml.Node) {
			n.Content = append(n.Content, scalar("<<", "!!merge"), scalar("a", "!!str"))
		}, `["<<"]`, "a merge key (<<) is used"},
		{"same key again", func(n *yaml.Node) bool { return n.Kind == yaml.MappingNode && len(n.Content) > 0 }, func(n *yaml.Node) {
			n.Content = append(n.Content, n.Content[0], n.Content[1])
		}, "*", "the key is said twice"},
	}
}

// TestEveryFieldRefusesEveryMistake makes each mistake at each field of the types, one at a
// time, and expects the problem at that field's path and line.
func TestEveryFieldRefusesEveryMistake(t *testing.T) {
	t.Parallel()
	for _, path := range allPaths() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, m := range mutations() {
				root := everything(t)
				n := nodeAt(t, root, path)
				if !m.applies(n) {
					continue
				}
				want := path + m.inside
				if m.inside == "*" {
					want = join(path, n.Content[0].Value)
				}
				m.change(n)
				checkMutation(t, m, root, want, n.Line)
			}
		})
	}
}

// TestEveryMappingRefusesUnknownKeys: free mappings (values, labels) take any key; all others
// tell the unknown one and what is known.
func TestEveryMappingRefusesUnknownKeys(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, path := range allPaths() {
		root := everything(t)
		n := nodeAt(t, root, path)
		if n.Kind != yaml.MappingNode || isFree(path) {
			continue
		}
		tried++
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "zzz", Line: n.Line, Column: n.Column},
			&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "a"})
		checkMutation(t, mutation{name: "unknown key", want: "unknown key"}, root, path+".zzz", n.Line)
	}
	if tried < 25 {
		t.Errorf("only %d mappings were tried", tried)
	}
}

func checkMutation(t *testing.T, m mutation, root *yaml.Node, path string, line int) {
	t.Helper()
	c := newCollector("everything.yaml")
	d := decoder{collector: c}
	d.topology(root, new(Topology))
	for _, p := range c.problems {
		if p.Path == path && strings.Contains(p.Message, m.want) && p.Fix != "" {
			if p.Line != line && !strings.HasPrefix(m.name, "number as") && m.name != "merge key" && m.name != "same key again" {
				t.Errorf("%s: told in line %d, want %d: %v", m.name, p.Line, line, p)
			}
			return
		}
	}
	t.Errorf("%s: want %q at %s, got:\n%v", m.name, m.want, path, c.problems)
}

// isFree says whether the field holds whatever the user writes.
func isFree(path string) bool {
	for _, end := range []string{".values", ".meshConfig", ".labels", ".annotations", ".resources", ".tolerations[0]", ".discovery"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// nodeAt follows a path, as --set does.
func nodeAt(t *testing.T, root *yaml.Node, path string) *yaml.Node {
	t.Helper()
	steps, err := parsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	s := setter{collector: newCollector(""), origin: map[*yaml.Node]string{}}
	at := &root
	for _, st := range steps {
		var ok bool
		if st.kind == byKey {
			at, ok = s.enterKey(*at, "", st.key)
		} else {
			at, _, ok = s.enterItem(*at, "", st)
		}
		if !ok {
			t.Fatalf("%s leads nowhere: %v", path, s.problems)
		}
	}
	if len(s.origin) > 0 {
		t.Fatalf("%s is not said in everything.yaml", path)
	}
	return *at
}

// TestSetReachesEveryField sets each field to null, which must be told with the argument.
func TestSetReachesEveryField(t *testing.T) {
	t.Parallel()
	data := readOf(t, "testdata/everything.yaml")
	for _, path := range allPaths() {
		argument := path + "=null"
		_, err := Parse("everything.yaml", data, argument)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Fatalf("%s gave %v", argument, err)
		}
		want := fmt.Sprintf("--set %s: %s: the value is null", argument, path)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q in\n%v", argument, want, err)
		}
	}
}
