// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/topology"
)

func TestSpecFor(t *testing.T) {
	t.Parallel()
	top := &topology.Topology{Metadata: topology.Metadata{Name: "usmesh"}}
	west := &topology.Cluster{Name: "west", Locality: topology.Locality{Region: "us-west"},
		Provider: topology.Provider{Kind: &topology.KindProvider{PodSubnet: "10.10.0.0/16", ServiceSubnet: "10.100.0.0/24",
			Nodes: []topology.Node{{Role: "control-plane"}, {Role: "worker", Locality: topology.Locality{Region: "eu", Zone: "b"}, Labels: map[string]string{"disk": "fast"}}},
			Ports: []topology.Port{{Host: 30001, Node: 30002}}}}}
	want := Spec{Name: "usmesh-west", Image: "node:1", PodSubnet: "10.10.0.0/16", ServiceSubnet: "10.100.0.0/24", BridgeCNI: true,
		Nodes: []Node{
			{Role: "control-plane", Labels: map[string]string{"topology.kubernetes.io/region": "us-west"}},
			{Role: "worker", Labels: map[string]string{"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "b", "disk": "fast"}},
		},
		Ports: []Port{{Host: 30001, Node: 30002}}}
	if diff := cmp.Diff(want, SpecFor(top, west, "node:1", true)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := SpecFor(top, &topology.Cluster{Name: "east"}, "node:1", false)
	if len(bare.Nodes) != 1 || bare.Nodes[0].Role != "control-plane" {
		t.Errorf("a cluster without nodes: %+v", bare.Nodes)
	}
}
