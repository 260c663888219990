//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inventory is everything on this host that a topology could have made: containers,
// networks and volumes of the engine, files below a state directory.
func inventory(t *testing.T, e engine, state string) []string {
	t.Helper()
	var have []string
	for kind, args := range map[string][]string{
		"container": {"ps", "-a", "--format", "{{.Names}}"},
		"network":   {"network", "ls", "--format", "{{.Name}}"},
		"volume":    {"volume", "ls", "--format", "{{.Name}}"},
	} {
		for name := range strings.FieldsSeq(e.output(t, args...)) {
			have = append(have, kind+" "+name)
		}
	}
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a state directory that is gone holds no file
		}
		have = append(have, "file "+strings.TrimPrefix(path, state))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(have)
	return have
}

// without removes what the tests themselves put there.
func without(list []string, parts ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
	})
}

func sameInventory(t *testing.T, before, after []string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the host is not as it was (-before +after):\n%s", diff)
	}
}
