//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// TestAllKilled kills `up` with SIGKILL at several moments; each time the next `up` converges
// to a proven mesh and `down` leaves nothing. It makes each mesh anew, too much for two cores
// in CI: `make e2e-all`.
func TestAllKilled(t *testing.T) {
	onlyAll(t)
	const name = "mfe2e-killed"
	says := func(text string) func(*testing.T, string) bool {
		return func(_ *testing.T, out string) bool { return strings.Contains(out, text) }
	}
	for moment, reached := range map[string]func(t *testing.T, out string) bool{
		"a node container is there":   func(t *testing.T, _ string) bool { return nodeExists(t, name+"-west") },
		"base is being installed":     says("applying chart istio-base"),
		"MetalLB is being installed":  says("applying chart metallb"),
		"gateways are being made":     says("applying chart istio-eastwestgateway"),
		"credentials are being given": says(" for a token"),
	} {
		t.Run(moment, func(t *testing.T) {
			before := inventory(t, podman(), "")
			m := newMesh(t, name)
			t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
			m.stopWhen(syscall.SIGKILL, func(out string) bool { return reached(t, out) })
			m.must("up", "--verify", "always")
			m.must("down", "--delete-certs")
			sameInventory(t, before, inventory(t, m.engine, m.state))
		})
	}
}
