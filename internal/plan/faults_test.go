// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// TestWires: what comes from the others is their nodes' addresses, those of their load balancers
// and, within one network, those of their pods.
func TestWires(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct{ cluster, other, call string }{
		"two-clusters": {"west", "east", "cut usmesh-west [usmesh-east] [10.90.0.224-10.90.0.231] 50s"},
		"flat-network": {"west", "east", "10.11.0.0-10.11.255.255"},
	} {
		m := newMesh(t, "../../examples/"+file+"/topology.yaml")
		h := &hosted{status: cluster.Status{State: cluster.Ready}}
		m.Provider, m.Engine = h, &clustertest.Engine{Answers: []clustertest.Answer{
			{To: "network inspect", Out: `[{"name": "` + m.Topology.NetworkName() + `", "subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1"}]}]`}}}
		if why := m.Wires().Unable(want.cluster); why != "" {
			t.Fatalf("%s: %s", file, why)
		}
		if err := m.Wires().Cut(t.Context(), want.cluster, []string{want.other}, 50*time.Second); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := m.Wires().Mend(t.Context(), want.cluster); err != nil {
			t.Fatal(err)
		}
		if len(h.cuts) != 2 || !strings.Contains(h.cuts[0], want.call) || h.cuts[1] != "mend "+m.Topology.KindName(want.cluster) {
			t.Errorf("%s: %q", file, h.cuts)
		}
	}
}

// TestWiresToClustersThatAreNotOurs: nothing is known of their nodes and pods, in one network either.
func TestWiresToClustersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	m.Topology.Cluster("east").Network = m.Topology.Cluster("west").Network
	h := &hosted{status: cluster.Status{State: cluster.Ready}}
	m.Provider, m.Engine = h, &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "network inspect", Out: `[{"name": "` + m.Topology.NetworkName() + `", "subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1"}]}]`}}}
	if err := m.Wires().Cut(t.Context(), "west", []string{"east"}, 50*time.Second); err != nil || len(h.cuts) != 1 || h.cuts[0] != "cut usmesh-west [] [] 50s" {
		t.Errorf("%q, %v", h.cuts, err)
	}
}

func TestWiresOfClustersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/existing/topology.yaml")
	m.Provider = nil
	for _, name := range m.Topology.Names() {
		want := "no container engine is at hand"
		if m.existing(name) {
			want = name + " was not made by this program"
		}
		if why := m.Wires().Unable(name); !strings.Contains(why, want) {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// TestWhoComesNextRestores a gateway and a cut that a killed run left, by what stands on the
// objects alone; who only looks says it.
func TestWhoComesNextRestores(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "../../examples/two-clusters/topology.yaml")
	h := &hosted{status: cluster.Status{State: cluster.Ready}}
	m.Provider = h
	const left = `"until":"2026-01-02T03:04:05Z","by":"process 7 on lab","namespace":"meshfed-verify"}`
	gateway := deployed(topology.EastWestGateway, 0)
	gateway.Annotations = map[string]string{verify.AnnotationFault: `{"kind":"gateway","replicas":2,` + left}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "usmesh-east-control-plane",
		Annotations: map[string]string{verify.AnnotationFault: `{"kind":"network","cut":["west"],` + left}}}
	west, east := versioned(t, newKube(t, "west")), versioned(t, newKube(t, "east"))
	for _, obj := range []client.Object{gateway, node} {
		if err := east.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	m.connected("west", west.Client)
	m.connected("east", east.Client)
	writes := len(east.Writes())

	found, err := m.Faults(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	s, err := m.Status(t.Context())
	if err != nil || s.Healthy() || len(s.Clusters[0].Faults) != 0 || len(s.Clusters[1].Faults) != 2 || s.Clusters[1].State == "ready" {
		t.Errorf("status: %+v, %v", s, err)
	}
	if words := strings.Join(s.Clusters[1].Faults, "\n"); !strings.Contains(words, "is scaled to 0, it had 2 replicas") ||
		!strings.Contains(words, "lets nothing through from west") || !strings.Contains(words, "`meshfed up` restores it") {
		t.Errorf("status says:\n%s", words)
	}
	if len(east.Writes()) != writes {
		t.Errorf("who only looks wrote %q", east.Writes()[writes:])
	}

	restored, err := m.RestoreFaults(t.Context(), m.Selected(), nil)
	if err != nil || len(restored) != 2 || !slices.Equal(h.cuts, []string{"mend usmesh-east"}) {
		t.Errorf("restored %v, %v; %q", restored, err, h.cuts)
	}
	if err := east.Get(t.Context(), client.ObjectKeyFromObject(gateway), gateway); err != nil || *gateway.Spec.Replicas != 2 {
		t.Errorf("%d replicas, %v", *gateway.Spec.Replicas, err)
	}
	if found, err := m.Faults(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("left %v, %v", found, err)
	}
}
