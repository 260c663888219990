//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// described writes the file of a running mesh from the kubeconfig contexts of its clusters: plan on
// it shows no change, with no state of the mesh at hand, and down on it removes nothing.
func described(t *testing.T, m *mesh) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(m.must("kubeconfig").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	found := meshOf(t, m.engine, m.name, "")
	if err := os.Remove(found.file); err != nil {
		t.Fatal(err)
	}
	contexts := m.name + "-west," + m.name + "-east"
	init := found.must("init", "--from-contexts", contexts)
	text, err := os.ReadFile(found.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("written in %.1f s:\n%s\n%s", init.took.Seconds(), text, init.stderr)
	for _, want := range []string{"name: " + m.name, "context: " + m.name + "-west", "network: east-network", "remoteSecrets: false"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file does not say %q", want)
		}
	}
	if again := found.run("init", "--from-contexts", contexts); again.code != 2 || !strings.Contains(again.stderr, "never overwrites") {
		t.Errorf("a second init: %s", again)
	}
	if plan := found.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan on what was found shows a change: %s", plan)
	}
	if plan := found.run("plan", "--out", filepath.Join(t.TempDir(), "plan")); plan.code != 0 {
		t.Errorf("what up asks before it begins: %s", plan)
	}
	if down := found.run("down", "--dry-run", "--yes"); down.code != 0 || strings.Contains(down.stdout, "istiod@") {
		t.Errorf("down would remove what the file only checks: %s", down)
	}
	if verify := found.run("verify", "--suite", "trust,discovery"); verify.code != 0 {
		t.Errorf("verify of what was found: %s", verify)
	}
	bare := exec.Command(meshfed, "verify", "--contexts", contexts, "--suite", "trust,discovery,weights", "-o", "json", "--state-dir", t.TempDir())
	bare.Env, bare.Dir = append(os.Environ(), m.engine.env...), t.TempDir() // contexts take the place of a file
	report := m.parse(m.finish(bare))
	t.Logf("verify --contexts: %.1f s, %v", report.DurationSeconds, report.Summary)
	if report.Summary["pass"] == 0 || report.Summary["fail"]+report.Summary["inconclusive"] != 0 {
		t.Errorf("verify --contexts: %v\n%s", report.Summary, report.words())
	}
	m.unchanged("after it was described")
}
