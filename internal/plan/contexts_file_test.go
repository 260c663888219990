// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/topology"
)

// TestRunningFile: a mesh of somebody else's and one of this program's own, described by a file
// that loads and says what was found.
func TestRunningFile(t *testing.T) {
	t.Parallel()
	istiod := func(cluster, network string) install.FoundControl {
		return install.FoundControl{Deployment: "istiod", Revision: "default", Version: topology.IstioVersion, MeshID: "Shop Mesh", ClusterName: cluster, Network: network, TrustDomain: "shop.example.com", Ready: true}
	}
	foreign := Running{Contexts: []string{"prod-west", "prod-east"}, Found: []install.Found{
		{Strict: true, Controls: []install.FoundControl{istiod("west", "blue")}, Gateways: []install.FoundGateway{{Name: topology.IngressGateway, Namespace: topology.SystemNamespace}}},
		{Strict: true, Controls: []install.FoundControl{istiod("east", "")}, Network: "green"},
	}}
	for i := range foreign.Found {
		foreign.Found[i].Controls[0].MeshID = "shop_mesh"
	}
	text, err := foreign.File()
	if err != nil {
		t.Fatal(err)
	}
	got, err := topology.Parse("found.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	west, east := got.Cluster("west"), got.Cluster("east")
	if got.Metadata.Name != "shop-mesh" || got.Spec.Mesh != (topology.Mesh{ID: "shop_mesh", TrustDomain: "shop.example.com", MTLS: topology.MTLSStrict}) {
		t.Errorf("the mesh is described as %s, %+v", got.Metadata.Name, got.Spec.Mesh)
	}
	if west == nil || east == nil || west.Provider.Kubeconfig.Context != "prod-west" || west.Network != "blue" || east.Network != "green" || west.Ingress == nil || east.Ingress != nil {
		t.Errorf("the clusters are described as\n%s", text)
	}
	if nothing := (topology.Manage{}); west.Manage != nothing || east.Manage != nothing {
		t.Errorf("what is somebody else's is to be written: %+v %+v", west.Manage, east.Manage)
	}

	ours := foreign
	for i := range ours.Found {
		ours.Found[i].Topology, ours.Found[i].Owner = "usmesh", "0123456789abcdef"
		ours.Found[i].Controls[0].Origin = install.Origin{Topology: "usmesh", Owner: "0123456789abcdef"}
	}
	if text, err = ours.File(); err != nil || strings.Contains(string(text), "manage") || !strings.Contains(string(text), "name: usmesh\n") {
		t.Errorf("of a mesh of ours: %v\n%s", err, text)
	}
}

// TestRunningThatIsNoMesh is refused, with what differs.
func TestRunningThatIsNoMesh(t *testing.T) {
	t.Parallel()
	control := func(mesh, domain string) []install.FoundControl {
		return []install.FoundControl{{Revision: "default", MeshID: mesh, TrustDomain: domain}}
	}
	r := Running{Contexts: []string{"a", "b", "c"}, Found: []install.Found{{Controls: control("one", "x")}, {Controls: control("two", "x")}, {}}}
	_, err := r.File()
	for _, want := range []string{"contexts a and b are no mesh: the mesh ID is one in one and two in the other", "there is no istiod behind context c"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}
