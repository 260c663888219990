// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

const flatNetwork = "../../examples/flat-network/topology.yaml"

func nodeWith(name, pods string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: pods}}
}

// routeSteps are the IDs of the steps that make routes.
func routeSteps(m *Mesh) []string {
	var ids []string
	for _, s := range Up(m) {
		if strings.HasPrefix(s.ID, "routes@") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// TestWhoGetsRoutes: kind clusters that share a network, both ways, and nobody else.
func TestWhoGetsRoutes(t *testing.T) {
	t.Parallel()
	m := newMesh(t, flatNetwork)
	if got := routeSteps(m); !slices.Equal(got, []string{"routes@west:east", "routes@east:west"}) {
		t.Errorf("%v", got)
	}
	m.Clusters = []string{"west", "asia"}
	if got := routeSteps(m); len(got) > 0 {
		t.Errorf("with the other cluster left out: %v", got)
	}
	m.Clusters = nil
	m.Topology.Cluster("east").Provider.Kind = nil // a cluster of the user's own: its routes are not ours
	if got := routeSteps(m); len(got) > 0 {
		t.Errorf("with a cluster that is not kind's: %v", got)
	}
	if got := routeSteps(newMesh(t, "../../examples/three-networks/topology.yaml")); len(got) > 0 {
		t.Errorf("over networks: %v", got)
	}
}

// TestGatewaysOnlyWhereNetworksDiffer: in one flat network nothing is exposed and there is no
// east-west gateway; a third cluster in another network brings them to all.
func TestGatewaysOnlyWhereNetworksDiffer(t *testing.T) {
	t.Parallel()
	count := func(m *Mesh) int {
		n := 0
		for _, s := range Up(m) {
			if strings.HasPrefix(s.ID, "eastwest@") || strings.HasPrefix(s.ID, "expose@") {
				n++
			}
		}
		return n
	}
	if n := count(newMesh(t, flatNetwork)); n != 6 {
		t.Errorf("%d steps for gateways with two networks, want 6", n)
	}
	two := parsed(t, "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: x}\nspec: {clusters: [{name: a, network: n}, {name: b, network: n}]}\n")
	two.Provider = noClusters{}
	if n := count(two); n != 0 {
		t.Errorf("%d steps for gateways in one network", n)
	}
}

func TestRoutesStep(t *testing.T) {
	t.Parallel()
	m := newMesh(t, flatNetwork).with(kubetest.New(t, "west"),
		kubetest.New(t, "east", nodeWith("flat-east-control-plane", "10.11.0.0/24"), nodeWith("flat-east-worker", "10.11.1.0/24")))
	p := &hosted{unrouted: []string{"flat-west-worker has no route 10.11.1.0/24 via 10.90.0.5"}}
	m.Provider = p
	i := slices.IndexFunc(Up(m), func(s graph.Step) bool { return s.ID == "routes@west:east" })
	step := Up(m)[i]
	change, err := step.Look(t.Context())
	if err != nil || change.Action != graph.Update || change.Reason != p.unrouted[0] {
		t.Fatalf("%+v, %v", change, err)
	}
	if err := step.Do(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	const want = "flat-west to flat-east map[flat-east-control-plane:10.11.0.0/24 flat-east-worker:10.11.1.0/24]"
	if !slices.Equal(p.routed, []string{want}) {
		t.Errorf("%v", p.routed)
	}
	if change, err := step.Look(t.Context()); err != nil || change.Action != graph.None {
		t.Errorf("afterwards: %+v, %v", change, err)
	}
}

// TestRoutesToANodeWithoutPods: no route can be made to a node that has no subnet yet.
func TestRoutesToANodeWithoutPods(t *testing.T) {
	t.Parallel()
	m := newMesh(t, flatNetwork).with(kubetest.New(t, "west"), kubetest.New(t, "east", nodeWith("flat-east-worker", "")))
	m.Provider = &hosted{}
	i := slices.IndexFunc(Up(m), func(s graph.Step) bool { return s.ID == "routes@west:east" })
	_, err := Up(m)[i].Look(t.Context())
	hinted(t, err, "node flat-east-worker of east has no subnet for its pods", "kubectl --context flat-east")
}
