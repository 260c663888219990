// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRenderProber(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(t.TempDir(), "probers")
	r := call(t, "render", "prober", "-f", example, "-o", dir, "--image", "registry.example.com/probe:1")
	if r.code != 0 || !strings.Contains(r.stdout, "west.yaml") || !strings.Contains(r.err, "image: registry.example.com/probe:1; 6 files written, 0 were so already") {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{"west.yaml", "east.yaml", "alert_rules.yaml", "rules_test.yaml", "dashboard.json", "README.md"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	west, err := os.ReadFile(filepath.Join(dir, "west.yaml"))
	must(t, err)
	if !strings.Contains(string(west), "image: registry.example.com/probe:1\n") {
		t.Error("the image is another one")
	}
	if r := call(t, "render", "prober", "-f", example, "-o", dir, "--image", "registry.example.com/probe:1"); r.code != 0 || !strings.Contains(r.err, "0 files written, 6 were so already") {
		t.Errorf("again: %+v", r)
	}
	if r := call(t, "render", "prober", "-f", example, "-o", dir, "--set", "spec.verify.probe.image=mirror/probe:2"); r.code != 0 || !strings.Contains(r.err, "image: mirror/probe:2; 2 files written") {
		t.Errorf("another image: %+v", r)
	}
	// The folder of `render` is another one.
	call(t, "render", "-f", example, "-o", dir).refused(t, failed, dir)
	call(t, "render", "prober", "-f", example).hinted(t, wrong, "render prober needs a folder", "-o DIR")
	t.Setenv("MESHFED_OUTPUT", "json")
	if r := call(t, "render", "prober", "-f", example, "-o", dir); r.code != 0 || !strings.Contains(r.stdout, `"kind": "Rendering"`) || !strings.Contains(r.stdout, `"path": "alert_rules.yaml"`) {
		t.Errorf("JSON: %+v", r)
	}
	if len(h.argv()) > 0 {
		t.Errorf("the engine was asked: %q", h.argv())
	}
}
