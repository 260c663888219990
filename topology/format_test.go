// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// These tests hold the format to docs/topology-format.md.

// TestReleasedFilesLoadAsTheyDid: each file that loaded with a release still loads, and
// everything that it meant then it means today. New fields may have come.
func TestReleasedFilesLoadAsTheyDid(t *testing.T) {
	t.Parallel()
	for _, file := range globOf(t, "testdata/released/*/*.yaml") {
		loaded, err := Parse(file, readOf(t, file), setsOf(t, file)...) // other files are not the format's matter
		if err != nil {
			t.Errorf("a file that was accepted is refused: %v", err)
			continue
		}
		var then, now any
		if err := json.Unmarshal(readOf(t, strings.TrimSuffix(file, ".yaml")+".json"), &then); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(asJSON(t, loaded)), &now); err != nil {
			t.Fatal(err)
		}
		for _, lost := range missing("", then, now) {
			t.Errorf("%s: %s", filepath.Base(file), lost)
		}
	}
}

// missing lists what is in then and is not, or is otherwise, in now.
func missing(path string, then, now any) []string {
	var lost []string
	switch then := then.(type) {
	case map[string]any:
		object, _ := now.(map[string]any)
		for key, value := range then {
			lost = append(lost, missing(join(path, key), value, object[key])...)
		}
	case []any:
		list, _ := now.([]any)
		if len(list) != len(then) {
			return []string{fmt.Sprintf("%s had %d items, has %d", path, len(then), len(list))}
		}
		for i := range then {
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", path, i), then[i], list[i])...)
		}
	default:
		if !reflect.DeepEqual(then, now) {
			lost = append(lost, fmt.Sprintf("%s was %v, is %v", path, then, now))
		}
	}
	return lost
}

func TestMissingFinds(t *testing.T) {
	t.Parallel()
	then := map[string]any{"a": 1.0, "b": []any{"x"}, "c": map[string]any{"d": true}}
	for _, now := range []map[string]any{
		{"a": 2.0, "b": []any{"x"}, "c": map[string]any{"d": true}},
		{"a": 1.0, "b": []any{"x", "y"}, "c": map[string]any{"d": true}},
		{"a": 1.0, "b": []any{"x"}, "c": map[string]any{}},
		{"a": 1.0, "b": []any{"x"}},
	} {
		if lost := missing("", then, now); len(lost) != 1 {
			t.Errorf("%v: lost %v", now, lost)
		}
	}
	if lost := missing("", then, map[string]any{"a": 1.0, "b": []any{"x"}, "c": map[string]any{"d": true, "new": 1.0}, "new": 2.0}); len(lost) > 0 {
		t.Errorf("what was added is told as lost: %v", lost)
	}
}

// TestKeysThatMovedAreRefusedByName, with what to write, in the file and as an argument.
func TestKeysThatMovedAreRefusedByName(t *testing.T) {
	t.Parallel()
	rows := []moved{
		{path: "spec.clusters[*].subnet", since: "0.9", to: "provider.kind.podSubnet", write: "provider: {kind: {podSubnet: ...}}"},
		{path: "spec.meshes", since: "0.8", write: "nothing: there is one mesh in a file"},
	}
	c := newCollector("t.yaml")
	c.moved = rows
	root, ok := readTree(c, []byte(header+"spec: {meshes: 2, clusters: [{name: west, subnet: 10.0.0.0/8}]}\n"))
	if !ok {
		t.Fatal(c.problems)
	}
	d := decoder{collector: c}
	d.topology(root, new(Topology))
	want := `t.yaml:4:8: spec.meshes: the key is gone since meshfed 0.8 (write nothing: there is one mesh in a file)
t.yaml:4:43: spec.clusters[0].subnet: the key is called provider.kind.podSubnet since meshfed 0.9 (write provider: {kind: {podSubnet: ...}})`
	if got := c.problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestMovedKeysAreNoFields: a row is for a key that is gone, and says all that is promised.
func TestMovedKeysAreNoFields(t *testing.T) {
	t.Parallel()
	for _, row := range movedFields() {
		if fieldExists(reflect.TypeFor[Topology](), row.path) {
			t.Errorf("%s is a field", row.path)
		}
		if row.since == "" || row.write == "" {
			t.Errorf("%s: since or write is missing", row.path)
		}
	}
}
