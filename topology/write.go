// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// New is a topology that says nothing but its name, to be filled and written by File. Its
// defaults that depend on nothing are there, as Load has them.
func New(name string) *Topology {
	t := &Topology{}
	preset(t)
	t.APIVersion, t.Kind, t.Metadata.Name = APIVersion, Kind, name
	return t
}

// NewCluster is a cluster with the defaults that depend on nothing.
func NewCluster(name string) Cluster {
	c := Cluster{}
	preset(&c)
	c.Name = name
	return c
}

// File writes the topology as a file that says only what is not the default. The comment, which
// may have several lines, comes first. Nothing is checked: loading it does that.
func (t *Topology) File(comment string) ([]byte, error) {
	w := writer{}
	// Where a cluster is the user's own, credentials are chosen even when that is the default.
	w.chosen = slices.ContainsFunc(t.Names(), func(name string) bool { return t.Cluster(name).IsExisting() })
	root := w.said(reflect.ValueOf(t).Elem(), 0)
	var out bytes.Buffer
	for line := range strings.Lines(comment) {
		out.WriteString("# " + strings.TrimSpace(line) + "\n")
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("writing topology %s: %w", t.Metadata.Name, err)
	}
	return out.Bytes(), nil
}

// writer knows what is written although it is the default.
type writer struct{ chosen bool }

// flowDepth is from where on mappings are written in one line: those of a cluster.
const flowDepth = 2

// said is a value's mapping without the fields that have their default; nil when none is left.
func (w writer) said(v reflect.Value, depth int) *yaml.Node {
	fresh := reflect.New(v.Type())
	if v.Type() != reflect.TypeFor[Credentials]() || !w.chosen {
		preset(fresh.Interface())
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	if depth > flowDepth {
		node.Style = yaml.FlowStyle
	}
	keys := fieldsOf(v.Type())
	for _, key := range keys.names {
		field, usual := v.Field(keys.index[key]), fresh.Elem().Field(keys.index[key])
		if value := w.nodeOf(field, usual, depth+1); value != nil {
			node.Content = append(node.Content, scalarOf(key), value)
		}
	}
	if len(node.Content) == 0 {
		return nil
	}
	return node
}

func (w writer) nodeOf(field, usual reflect.Value, depth int) *yaml.Node {
	switch field.Kind() {
	case reflect.Pointer:
		if field.IsNil() {
			return nil
		}
		if node := w.said(field.Elem(), depth); node != nil {
			return node
		}
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle} // being there says something
	case reflect.Struct:
		return w.said(field, depth)
	case reflect.Slice:
		return w.listOf(field, depth)
	}
	if reflect.DeepEqual(field.Interface(), usual.Interface()) || field.Kind() == reflect.Map && field.Len() == 0 {
		return nil
	}
	switch v := field.Interface().(type) {
	case string:
		return scalarOf(v)
	case Duration:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v.String()}
	}
	return free(field.Interface(), depth)
}

func (w writer) listOf(field reflect.Value, depth int) *yaml.Node {
	if field.Len() == 0 {
		return nil
	}
	node := &yaml.Node{Kind: yaml.SequenceNode}
	if depth > flowDepth || field.Type().Elem().Kind() != reflect.Struct {
		node.Style = yaml.FlowStyle
	}
	for i := range field.Len() {
		item := field.Index(i)
		if item.Kind() != reflect.Struct {
			node.Content = append(node.Content, free(item.Interface(), depth+1))
			continue
		}
		of := w.said(item, depth)
		if of == nil {
			of = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		}
		node.Content = append(node.Content, of)
	}
	return node
}

// free is what has no type of ours: Helm values, labels, numbers, booleans.
func free(v any, depth int) *yaml.Node {
	if s, ok := v.(string); ok {
		return scalarOf(s)
	}
	node := &yaml.Node{}
	if err := node.Encode(v); err != nil {
		return scalarOf(fmt.Sprint(v))
	}
	if depth > 2 && node.Kind != yaml.ScalarNode {
		node.Style = yaml.FlowStyle
	}
	return node
}

// scalarOf is a string, in quotes wherever YAML could take it for something else.
func scalarOf(s string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if _, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64); err == nil {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}
