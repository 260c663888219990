// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/run"
)

// overlay lays trees of values over each other; later ones win, maps are merged, lists are
// replaced. The arguments are not changed.
func overlay(trees ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, tree := range trees {
		for key, value := range tree {
			under, isMap := all[key].(map[string]any)
			over, both := value.(map[string]any)
			if isMap && both {
				all[key] = overlay(under, over)
				continue
			}
			if both {
				value = overlay(over)
			}
			all[key] = value
		}
	}
	return all
}

// clone copies values by way of JSON, as Helm would see them.
func clone(values map[string]any) (map[string]any, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("copying values: %w", err)
	}
	copied := map[string]any{}
	if err := json.Unmarshal(data, &copied); err != nil {
		return nil, fmt.Errorf("copying values: %w", err)
	}
	return copied, nil
}

// differences lists the leaves in which two trees of values differ, in order of path.
func differences(old, new map[string]any) []graph.FieldChange {
	was, is := leaves("", old), leaves("", new)
	paths := maps.Clone(was)
	maps.Copy(paths, is)
	var fields []graph.FieldChange
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if was[path] != is[path] {
			fields = append(fields, graph.FieldChange{Path: "values." + path, Old: was[path], New: is[path]})
		}
	}
	return fields
}

func leaves(prefix string, tree map[string]any) map[string]string {
	all := map[string]string{}
	for key, value := range tree {
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		if under, ok := value.(map[string]any); ok && len(under) > 0 {
			maps.Copy(all, leaves(path, under))
			continue
		}
		data, err := json.Marshal(value)
		if err != nil {
			data = fmt.Appendf(nil, "(%T)", value)
		}
		all[path] = run.Redact(string(data))
	}
	return all
}
