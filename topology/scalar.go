// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// scalar decodes a string, an integer or a boolean. It does not convert between them: what
// looks like a number where a string is meant is told, because YAML would change it (1.10).
// An argument of --set is a string anyway, so there it is taken as it is.
func (d *decoder) scalar(path string, n *yaml.Node, into reflect.Value) {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode {
		tag = ""
	}
	want, fix := "", ""
	switch into.Kind() {
	case reflect.String:
		_, fromSet := d.origin[n]
		if tag == "!!str" || tag != "" && fromSet {
			into.SetString(n.Value)
			return
		}
		want, fix = "a string", "write a single value"
		if tag != "" {
			fix = fmt.Sprintf("write it in quotes: %q", n.Value)
		}
	case reflect.Int:
		v, err := strconv.Atoi(n.Value)
		if tag == "!!int" && err == nil && n.Value == strconv.Itoa(v) {
			into.SetInt(int64(v))
			return
		}
		want, fix = "a whole number", "write digits only, such as 20, without quotes"
	case reflect.Bool:
		if tag == "!!bool" && (n.Value == "true" || n.Value == "false") {
			into.SetBool(n.Value == "true")
			return
		}
		want, fix = "a boolean", "write true or false"
	}
	d.at(d.place(n), path, want+" is expected, not "+describe(n), fix)
}

// free decodes what has no type of ours (Helm values and the like) into maps, lists, strings,
// booleans, int64 and float64, so that it can be written as JSON; nil after a problem.
func (d *decoder) free(path string, n *yaml.Node) any {
	if !d.plain(path, n) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		result := map[string]any{}
		d.pairs(path, n, func(child, key string, _, value *yaml.Node) { result[key] = d.free(child, value) })
		return result
	case yaml.SequenceNode:
		result := make([]any, len(n.Content))
		for i, item := range n.Content {
			result[i] = d.free(path+"["+strconv.Itoa(i)+"]", item)
		}
		return result
	}
	switch n.ShortTag() {
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int":
		// A leading zero or 0x would be read differently by others.
		if v, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Value == strconv.FormatInt(v, 10) {
			return v
		}
	case "!!float":
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	default:
		return n.Value
	}
	d.at(d.place(n), path, fmt.Sprintf("the number %s can not be passed on", n.Value), "write a decimal number, or put it in quotes")
	return nil
}
