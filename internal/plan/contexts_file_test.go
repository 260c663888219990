// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
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
		return install.FoundControl{Deployment: "istiod", Namespace: topology.SystemNamespace, Revision: "default", Version: topology.IstioVersion, MeshID: "shop_mesh", ClusterName: cluster, Network: network, TrustDomain: "shop.example.com", Ready: true}
	}
	eastWest := install.FoundGateway{Name: topology.EastWestGateway, Namespace: topology.SystemNamespace, CrossNetwork: true}
	foreign := Running{Contexts: []string{"prod-west", "prod-east"}, Found: []install.Found{
		{Strict: true, Controls: []install.FoundControl{istiod("west", "blue")}, Peers: []string{"east"}, RootFrom: "secret cacerts", Gateways: []install.FoundGateway{
			{Name: topology.IngressGateway, Namespace: topology.SystemNamespace}, eastWest}},
		{Strict: true, Controls: []install.FoundControl{istiod("east", "")}, Peers: []string{"west"}, RootFrom: "secret cacerts", Network: "green", Gateways: []install.FoundGateway{eastWest}},
	}}
	text, got, err := foreign.File()
	if err != nil {
		t.Fatal(err)
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

	if want := []string{"lifetime: 720h", "refresh: Manual", "set it to true", "adopt: true"}; !containsAll(string(text), want) {
		t.Errorf("the file does not say %q:\n%s", want, text)
	}

	foreign.Found[1].Topology, foreign.Found[1].Owner, foreign.Found[1].Network = "usmesh", "0123456789abcdef", "blue"
	foreign.Found[1].Peers, foreign.Found[0].Peers = []string{"west", "south"}, nil
	if text, got, err = foreign.File(); err != nil {
		t.Fatal(err)
	}
	if got.Metadata.Name != "usmesh" || strings.Join(got.Peers("east"), "") != "west" || len(got.Peers("west")) > 0 {
		t.Errorf("one that knows the other is described as\n%s", text)
	}
	if proven, err := foreign.Topology(); err != nil || len(proven.Peers("west")) != 1 {
		t.Errorf("a proof would not look for what is missing: %v", err)
	}
	notes := strings.Join(foreign.Notes(got), "\n")
	if want := []string{"west and east share network blue", "prod-east has a remote secret for south", "prod-west: Istio " + topology.IstioVersion}; !containsAll(notes, want) {
		t.Errorf("the notes do not say %q:\n%s", want, notes)
	}
}

func containsAll(text string, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) })
}

// TestRunningThatIsNoMesh is refused, with what differs.
func TestRunningThatIsNoMesh(t *testing.T) {
	t.Parallel()
	control := func(mesh, domain string) []install.FoundControl {
		return []install.FoundControl{{Revision: "default", MeshID: mesh, TrustDomain: domain, ClusterName: mesh}}
	}
	r := Running{Contexts: []string{"a", "b", "c", "d"}, Found: []install.Found{{Controls: control("one", "x")}, {Controls: control("two", "x")}, {ServedBy: "one"}, {Controls: control("two", "x")}}}
	_, _, err := r.File()
	for _, want := range []string{"contexts a and b are no mesh: the mesh ID is one in one and two in the other", "there is no istiod behind context c: the control plane of one serves it", `contexts b and d are no mesh: both istiods call their cluster "two"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}

// TestWhatAFileCanNotSay is refused by name, and all of it at once.
func TestWhatAFileCanNotSay(t *testing.T) {
	t.Parallel()
	found := func(change func(*install.Found)) install.Found {
		f := install.Found{RootFrom: "secret cacerts", Roots: []string{"11"}, Peers: []string{"b"}, Controls: []install.FoundControl{
			{Namespace: topology.SystemNamespace, Revision: "default", Version: topology.IstioVersion, MeshID: "m", TrustDomain: "x", ClusterName: "a", Network: "n"}}}
		change(&f)
		return f
	}
	for want, change := range map[string]func(*install.Found){
		"there are 2 control planes behind context two (revisions default, blue)": func(f *install.Found) {
			f.Controls = append(f.Controls, install.FoundControl{Revision: "blue"})
		},
		"istiod is in namespace mesh behind context two":                              func(f *install.Found) { f.Controls[0].Namespace = "mesh" },
		"nothing says the network behind context two":                                 func(f *install.Found) { f.Controls[0].Network = "" },
		"has network n, and namespace istio-system is labelled other":                 func(f *install.Found) { f.Network = "other" },
		"there is no secret cacerts behind context two":                               func(f *install.Found) { f.RootFrom = "istiod's own CA" },
		"ztunnel runs behind context two":                                             func(f *install.Found) { f.Ambient = true },
		"the root is 11 behind context one and 22 behind context two":                 func(f *install.Found) { f.Roots = []string{"22"} },
		"the mesh-wide mutual TLS mode is Permissive behind context one and Strict":   func(f *install.Found) { f.Strict = true },
		"the revision is default behind context one and blue behind context two":      func(f *install.Found) { f.Controls[0].Revision = "blue" },
		"Istio's version is " + topology.IstioVersion + " behind context one and 1.1": func(f *install.Found) { f.Controls[0].Version = "1.1.0" },
		"there is no Service istio-system/istio-eastwestgateway with port 15443":      func(f *install.Found) { f.Controls[0].Network = "far" },
	} {
		r := Running{Contexts: []string{"one", "two"}, Found: []install.Found{found(func(*install.Found) {}), found(func(f *install.Found) {
			f.Controls[0].ClusterName, f.Peers = "b", []string{"a"}
			change(f)
		})}}
		if _, _, err := r.File(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}
