// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// decoder fills typed values from a YAML tree. It guides itself by the json tags of the
// types, and records the place of everything that the input says.
type decoder struct {
	*collector
	origin map[*yaml.Node]string // nodes that came from a --set argument
}

func (d *decoder) place(n *yaml.Node) place {
	return place{
		set: d.origin[n], line: n.Line, column: n.Column, value: n.Value,
		empty: n.Value == "" && len(n.Content) == 0,
	}
}

func (d *decoder) topology(root *yaml.Node, t *Topology) {
	d.places[""] = place{line: 1, column: 1}
	d.value("", root, reflect.ValueOf(t).Elem())
}

// value decodes one node; what it refuses keeps the value that was there.
func (d *decoder) value(path string, n *yaml.Node, into reflect.Value) {
	d.places[path] = d.place(n)
	if !d.plain(path, n) {
		return
	}
	if _, ok := into.Addr().Interface().(*Duration); ok {
		d.duration(path, n, into)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(into.Type().Elem())
		preset(fresh.Interface())
		d.value(path, n, fresh.Elem())
		into.Set(fresh)
	case reflect.Struct:
		d.object(path, n, into)
	case reflect.Slice:
		d.list(path, n, into)
	case reflect.Map:
		d.mapping(path, n, into)
	default:
		d.scalar(path, n, into)
	}
}

// plain refuses what no field accepts: null, aliases, anchors and tags.
func (d *decoder) plain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.at(d.place(n), path, "an alias (*"+n.Value+") is used", "write the value out here")
	case n.Anchor != "":
		d.at(d.place(n), path, "an anchor (&"+n.Anchor+") is used", "remove the anchor and write each value out")
	case n.Style&yaml.TaggedStyle != 0:
		d.at(d.place(n), path, "a tag ("+n.Tag+") is used", "remove the tag")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.at(d.place(n), path, "the value is null", "write a value ({} for a mapping's defaults), or remove the key")
	default:
		return true
	}
	return false
}

// object decodes a mapping into a struct.
func (d *decoder) object(path string, n *yaml.Node, into reflect.Value) {
	if !d.is(path, n, yaml.MappingNode) {
		return
	}
	fields := fieldsOf(into.Type())
	d.pairs(path, n, func(child, key string, keyNode, value *yaml.Node) {
		index, known := fields.index[key]
		if !known {
			if d.full() { // what was meant takes time to find
				d.silence(child)
				return
			}
			if row, ok := d.movedAt(child); ok {
				d.at(d.place(keyNode), child, row.why(), "write "+row.write)
				return
			}
			near := nearest(key, fields.names)
			if near != "" && !hasKey(n, near) {
				// The key that was probably meant is missing for this reason only.
				d.silence(join(path, near))
			}
			where := d.place(keyNode)
			if near == "" {
				near = below(into.Type(), key)
			}
			d.at(where, child, "unknown key", suggestKey(near, fields.names))
			return
		}
		field := into.Type().Field(index)
		d.value(child, value, into.Field(index))
		if enum := field.Tag.Get("enum"); enum != "" {
			d.enum(child, into.Field(index), strings.Split(enum, ","))
		}
	})
}

// mapping decodes a mapping with free keys.
func (d *decoder) mapping(path string, n *yaml.Node, into reflect.Value) {
	if !d.is(path, n, yaml.MappingNode) {
		return
	}
	result := reflect.MakeMap(into.Type())
	d.pairs(path, n, func(child, key string, _, value *yaml.Node) {
		element := reflect.New(into.Type().Elem()).Elem()
		if into.Type().Elem().Kind() == reflect.Interface {
			if v := d.free(child, value); v != nil {
				element.Set(reflect.ValueOf(v))
			}
		} else {
			d.value(child, value, element)
		}
		result.SetMapIndex(reflect.ValueOf(key), element)
	})
	if result.Len() > 0 {
		into.Set(result)
	}
}

// pairs visits the keys of a mapping and refuses those that are no strings or said twice.
func (d *decoder) pairs(path string, n *yaml.Node, visit func(child, key string, keyNode, value *yaml.Node)) {
	first := map[string]place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, value := n.Content[i], n.Content[i+1]
		where := d.place(keyNode)
		if keyNode.ShortTag() == "!!merge" {
			d.at(where, join(path, keyNode.Value), "a merge key (<<) is used", "write the keys out here")
			continue
		}
		if keyNode.Kind != yaml.ScalarNode || keyNode.Style&yaml.TaggedStyle != 0 || keyNode.Anchor != "" || keyNode.ShortTag() != "!!str" {
			d.at(where, join(path, keyNode.Value), "a key must be a plain string", "write the key as a string, in quotes if it looks like something else")
			continue
		}
		child := join(path, keyNode.Value)
		if before, ok := first[keyNode.Value]; ok {
			d.at(where, child, fmt.Sprintf("the key is said twice, first in line %d", before.line), "keep one of the two")
			continue
		}
		first[keyNode.Value] = where
		visit(child, keyNode.Value, keyNode, value)
	}
}

func (d *decoder) list(path string, n *yaml.Node, into reflect.Value) {
	if !d.is(path, n, yaml.SequenceNode) || len(n.Content) == 0 {
		return
	}
	if len(n.Content) > MaxItems {
		d.at(d.place(n), path, fmt.Sprintf("the list has %d items, more than %d", len(n.Content), MaxItems), "write fewer items")
		return
	}
	result := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		preset(result.Index(i).Addr().Interface())
		d.value(fmt.Sprintf("%s[%d]", path, i), item, result.Index(i))
	}
	into.Set(result)
}

// is refuses another kind of node than wanted.
func (d *decoder) is(path string, n *yaml.Node, want yaml.Kind) bool {
	if n.Kind == want {
		return true
	}
	fix := "write key: value pairs, or {} for the defaults"
	if want == yaml.SequenceNode {
		fix = "write a list: items that begin with -, or [a, b]"
	}
	d.at(d.place(n), path, fmt.Sprintf("%s is expected, not %s", kindName(want), describe(n)), fix)
	return false
}

func (d *decoder) duration(path string, n *yaml.Node, into reflect.Value) {
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || n.ShortTag() != "!!str" {
		d.at(d.place(n), path, "a duration is expected, not "+describe(n), "write a number with a unit such as 10s, 5m or 720h")
		return
	}
	into.SetInt(int64(v))
}

func (d *decoder) enum(path string, value reflect.Value, allowed []string) {
	for _, a := range allowed {
		if value.String() == a {
			return
		}
	}
	if strings.EqualFold(value.String(), "Ed25519") {
		// Often asked for, so it deserves its reason (KeyCertBundle.CertOptions of istiod).
		d.add(path, "istiod knows authorities with ECDSA and RSA keys, not with Ed25519", "write "+orList(allowed))
		return
	}
	d.add(path, fmt.Sprintf("%q is not known here", shorten(value.String())), suggestValue(value.String(), allowed))
}

func kindName(k yaml.Kind) string {
	switch k {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// describe says what a node is, for the sentence "X is expected, not <...>".
func describe(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return kindName(n.Kind)
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!bool":
		return "the boolean " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	}
	return fmt.Sprintf("the string %q", shorten(n.Value))
}

// shorten keeps the beginning of a long value, without a password that would be cut in two and
// then not be known for one.
func shorten(s string) string {
	s = hideLogins(s)
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}
