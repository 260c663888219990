// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// compareText names what differs in two documents of several lines, as ConfigMaps hold them: the
// fields, where both are YAML or JSON, else the first line. It says false when it finds nothing to
// name, because only the form differs. Unlike objects, documents are compared both ways: nobody
// else owns a part of them.
func (d *differ) compareText(path []string, want, have string) bool {
	if !strings.Contains(want, "\n") && !strings.HasPrefix(want, "{") {
		return false
	}
	before := len(d.changes)
	wanted, found := document(want), document(have)
	if wanted != nil && found != nil {
		d.compareDocuments(path, wanted, found)
		return len(d.changes) > before
	}
	wantLines, haveLines := strings.Split(want, "\n"), strings.Split(have, "\n")
	for i := range max(len(wantLines), len(haveLines)) {
		var w, h any
		if i < len(wantLines) {
			w = strings.TrimSpace(wantLines[i])
		}
		if i < len(haveLines) {
			h = strings.TrimSpace(haveLines[i])
		}
		if w != h {
			d.add(append(slices.Clone(path), fmt.Sprintf("[line %d]", i+1)), w, h)
			return true
		}
	}
	return false
}

// document is a text as a mapping, or nil.
func document(text string) map[string]any {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		return nil
	}
	return tree
}

func (d *differ) compareDocuments(path []string, want, have any) {
	wanted, isTree := want.(map[string]any)
	found, wasTree := have.(map[string]any)
	if isTree && wasTree {
		keys := sortedKeys(wanted)
		for _, key := range sortedKeys(found) {
			if _, both := wanted[key]; !both {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			d.compareDocuments(append(slices.Clone(path), key), wanted[key], found[key])
		}
		return
	}
	w, isText := want.(string)
	h, wasText := have.(string)
	if isText && wasText && w != h && d.compareText(path, w, h) {
		return
	}
	if show(want) != show(have) {
		d.add(path, want, have)
	}
}
