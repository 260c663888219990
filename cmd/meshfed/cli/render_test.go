// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRender: the folder follows the file, from nothing to a cluster that is renamed, and no
// engine is asked.
func TestRender(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(t.TempDir(), "manifests")
	r := call(t, "render", "-f", example, "-o", dir)
	if r.code != 0 || !strings.Contains(r.stdout, "west/20-control-plane/istiod.yaml") || !strings.Contains(r.err, "17 files written, 0 were so already, 0 removed") {
		t.Fatalf("%+v", r)
	}
	kept := filepath.Join(dir, "west", "mine.yaml")
	must(t, os.WriteFile(kept, []byte("mine"), 0o600))
	for _, test := range []struct {
		args []string
		says []string
	}{
		{nil, []string{"0 files written, 17 were so already", "left alone, not rendered: west/mine.yaml"}},
		{[]string{"--set", "spec.mesh.mtls=Strict", "--clusters", "west"}, []string{"3 files written, 7 were so already, 0 removed"}},
		{[]string{"--set", "spec.mesh.mtls=Strict"}, []string{"2 files written, 17 were so already, 0 removed"}},
		{[]string{"--set", "spec.mesh.mtls=Strict", "--set", "spec.clusters[1].name=north"}, []string{"removed: east/10-definitions/definitions.yaml", "9 removed"}},
	} {
		r := call(t, append([]string{"render", "-f", example, "-o", dir}, test.args...)...)
		for _, says := range test.says {
			if r.code != 0 || !strings.Contains(r.err, says) {
				t.Errorf("%q does not say %q: %+v", test.args, says, r)
			}
		}
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "mine" {
		t.Errorf("a foreign file: %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "east")); err == nil {
		t.Error("the folder of a cluster that is gone is there")
	}
	if len(h.argv()) > 0 {
		t.Errorf("the engine was asked: %q", h.argv())
	}
}

func TestRenderRefuses(t *testing.T) {
	full := t.TempDir()
	must(t, os.WriteFile(filepath.Join(full, "notes.txt"), []byte("mine"), 0o600))
	for _, test := range []struct {
		args []string
		code int
		says []string
	}{
		{nil, wrong, []string{"render needs a folder", "render -f " + example + " -o DIR"}},
		{[]string{"west"}, wrong, []string{`render takes no arguments, got "west"`, "-o DIR"}},
		{[]string{"rbac", "--for", "verify"}, wrong, []string{"`meshfed render rbac --for verify` is not built yet", "--for passive"}},
		{[]string{"-o"}, wrong, []string{"needs an argument", "render --help"}},
		{[]string{"-o", full}, failed, []string{"it was not made by render", filepath.Join(full, "usmesh")}},
		{[]string{"-o", filepath.Join(full, "notes.txt")}, failed, []string{"making the folder"}},
		{[]string{"-o", t.TempDir(), "--bundle", full}, failed, []string{full}},
		{[]string{"-o", t.TempDir(), "--clusters", "north"}, wrong, []string{`no cluster "north"`}},
	} {
		r := call(t, append([]string{"render", "-f", example}, test.args...)...)
		if r.code != test.code || r.stdout != "" {
			t.Errorf("%q: %+v", test.args, r)
		}
		for _, says := range test.says {
			if !strings.Contains(r.err, says) {
				t.Errorf("%q does not say %q: %s", test.args, says, r.err)
			}
		}
	}
	if entries, err := os.ReadDir(full); err != nil || len(entries) != 1 {
		t.Errorf("a foreign folder: %v, %v", entries, err)
	}
}

// TestRenderSpeaksJSON: -o is a folder here, so the form of the answer comes from the environment,
// and that variable names no folder.
func TestRenderSpeaksJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("MESHFED_OUTPUT", "json")
	r := call(t, "render", "-f", file(t, least), "-o", "out", "--clusters", "west")
	var answer struct {
		APIVersion, Kind, Topology, Folder string
		Files                              []struct {
			Path           string
			Objects, Bytes int
		}
		Written []string
		Omitted []struct{ Cluster, What, Why string }
	}
	must(t, json.Unmarshal([]byte(r.stdout), &answer))
	if r.code != 0 || r.err != "" || answer.Kind != "Rendering" || answer.Folder != "out" || len(answer.Written) != len(answer.Files) || len(answer.Omitted) == 0 {
		t.Errorf("%+v", r)
	}
	for _, f := range answer.Files {
		if f.Bytes == 0 || strings.Contains(f.Path, "-") && f.Objects == 0 {
			t.Errorf("%+v", f)
		}
	}
	if r := call(t, "render", "-f", file(t, least)); r.code != wrong || !strings.Contains(r.stdout+r.err, `"kind": "Error"`) {
		t.Errorf("without a folder: %+v", r)
	}
	if _, err := os.Stat("json"); err == nil {
		t.Error("MESHFED_OUTPUT was taken for a folder")
	}
	t.Setenv("MESHFED_OUTPUT", "xml")
	call(t, "render", "-f", file(t, least), "-o", "out").hinted(t, wrong, `unknown output "xml" in MESHFED_OUTPUT`, "table or json")
	t.Setenv("MESHFED_OUTPUT", "table")
	if r := call(t, "render", "-f", file(t, least), "-o", "json"); r.code != 0 || !slices.Contains(strings.Fields(r.stdout), "OBJECTS") {
		t.Errorf("a folder called json: %+v", r)
	}
}
