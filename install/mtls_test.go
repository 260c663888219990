// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// Strict makes a policy, Permissive takes away ours and leaves that of somebody else.
func TestMeshMTLS(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	c := kubetest.New(t, "west")
	part := MeshMTLS{m}
	lookAt(t, c.Client, part, graph.None)

	m.Topology.Spec.Mesh.MTLS = topology.MTLSStrict
	lookAt(t, c.Client, part, graph.Create)
	doIt(t, c.Client, part)
	lookAt(t, c.Client, part, graph.None)

	m.Topology.Spec.Mesh.MTLS = topology.MTLSPermissive
	lookAt(t, c.Client, part, graph.Delete)
	doIt(t, c.Client, part)
	lookAt(t, c.Client, part, graph.None)

	foreign := part.policy()
	foreign.Labels = nil
	other := kubetest.New(t, "west", foreign)
	lookAt(t, other.Client, part, graph.None)
	if err := part.Remove(t.Context(), other.Client); err != nil {
		t.Fatal(err)
	}
	if writes := other.Writes(); len(writes) > 0 {
		t.Errorf("a policy of somebody else was touched: %v", writes)
	}
}
