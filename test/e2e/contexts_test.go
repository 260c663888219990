//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFromContexts describes a running mesh by the kubeconfig contexts of its clusters: plan on
// the file that is written shows no change, with no state of the mesh at hand.
func TestFromContexts(t *testing.T) {
	m := meshOf(t, podman(), "mfe2ectx", `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: mfe2ectx}
spec: {clusters: [{name: west, locality: {region: us-west}}, {name: east}], mesh: {mtls: Strict}}
`)
	t.Cleanup(func() { m.must("down", "--delete-certs", "--yes") })
	m.must("up", "--verify", "never")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(m.must("kubeconfig").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)

	found := meshOf(t, podman(), "mfe2ectx", "")
	if err := os.Remove(found.file); err != nil {
		t.Fatal(err)
	}
	found.must("init", "--from-contexts", "mfe2ectx-west,mfe2ectx-east")
	text, err := os.ReadFile(found.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("written:\n%s", text)
	if !strings.Contains(string(text), "mtls: Strict") {
		t.Error("the mode of the mesh is not said")
	}
	if plan := found.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan on what was found shows a change: %s", plan)
	}
}
