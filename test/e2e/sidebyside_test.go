//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// alone is the least that has an ingress gateway.
const alone = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: NAME}
spec:
  clusters:
  - {name: solo, ingress: {}}
`

// TestSideBySide brings up two topologies on one host at the same time. Each finds a port and a
// network of its own, and removing one leaves the other.
func TestSideBySide(t *testing.T) {
	before := inventory(t, podman(), "")
	names := []string{"mfe2ea", "mfe2eb"}
	meshes := make([]*mesh, len(names))
	var all sync.WaitGroup
	results := make([]result, len(names))
	for i, name := range names {
		meshes[i] = meshOf(t, podman(), name, strings.ReplaceAll(alone, "NAME", name))
		t.Cleanup(func() { meshes[i].run("down", "--delete-certs", "--yes") })
		all.Go(func() { results[i] = meshes[i].run("up", "--verify", "always") })
	}
	all.Wait()
	for i, r := range results {
		if r.code != 0 {
			t.Fatalf("%s: %s", names[i], r)
		}
	}
	first, second := meshes[0].published(), meshes[1].published()
	if slices.Equal(first, second) {
		t.Errorf("both are published at %v", first)
	}
	meshes[0].must("down", "--delete-certs")
	if r := meshes[1].must("up"); r.stdout == "" {
		t.Errorf("the other one: %s", r)
	}
	if now := meshes[1].published(); !slices.Equal(now, second) {
		t.Errorf("the other one's ports moved from %v to %v", second, now)
	}
	meshes[1].must("down", "--delete-certs")
	sameInventory(t, before, inventory(t, podman(), ""))
}
