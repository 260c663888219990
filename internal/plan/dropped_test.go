// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

// deleting keeps which clusters were deleted.
type deleting struct {
	*hosted
	deleted []string
}

func (d *deleting) Delete(_ context.Context, name string) error {
	d.deleted = append(d.deleted, "delete "+name)
	var left []string
	for _, n := range d.names {
		if n != name {
			left = append(left, n)
		}
	}
	d.names = left
	return nil
}

func (d *deleting) Look(ctx context.Context, s cluster.Spec) (cluster.Status, error) {
	if !slices.Contains(d.names, s.Name) {
		return cluster.Status{State: cluster.Absent}, nil
	}
	return d.hosted.Look(ctx, s)
}

// stepNamed is one step of a list.
func stepNamed(t *testing.T, steps []graph.Step, id string) graph.Step {
	t.Helper()
	for _, s := range steps {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("there is no step %s", id)
	return graph.Step{}
}

// TestDroppedCluster: a kind cluster that the file no longer has stays and is told of, and goes
// after the credentials for it when the user says so.
func TestDroppedCluster(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a", "c"}, "a", "b", "c")
	p := &deleting{hosted: m.Provider.(*hosted)}
	p.names = append(p.names, "bystander", "usmeshx-d") // of others, on a network of ours or not
	m.Provider = p
	if err := m.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	step := stepNamed(t, Up(m), "cluster@b")
	if diff := cmp.Diff([]string{"prune@a", "prune@c"}, step.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	change, err := step.Look(t.Context())
	if err != nil || change.Action != graph.None || !strings.Contains(change.Reason, "not in the file, kept; `meshfed up --prune-clusters` removes it") {
		t.Errorf("unasked: %+v, %v", change, err)
	}
	m.PruneClusters = true
	result := graph.Run(t.Context(), []graph.Step{alone(step)}, graph.Options{})
	if err := result.Err(); err != nil || result.Outcomes[0].Change.Action != graph.Delete {
		t.Errorf("asked: %+v, %v", result.Outcomes[0].Change, err)
	}
	if diff := cmp.Diff([]string{"delete usmesh-b"}, p.deleted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Clusters = []string{"a"}
	for _, s := range Up(m) {
		if s.ID == "cluster@b" {
			t.Error("--clusters a is about b too")
		}
	}
}

func alone(s graph.Step) graph.Step {
	s.Needs = nil
	return s
}

// TestPruneTakesGatewaysThatNobodyAsksFor: with its only peer gone a cluster keeps no exposure,
// and what carries other labels is somebody else's.
func TestPruneTakesGatewaysThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	for name, ours := range map[string]bool{"ours": true, "somebody's": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := threeOf(t, []string{"a"}, "a")
			c := m.connections["a"].client
			exposure := federation.Exposure{Labels: map[string]string{"who": "else"}}
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.RemoteSecretName("b"),
				Labels: map[string]string{topology.LabelMultiCluster: "true"}}}
			if ours {
				exposure.Labels = m.Labels()
				for key, value := range m.Labels() {
					secret.Labels[key] = value
				}
			}
			istiod := federation.IstiodExposure{Service: "istiod", Labels: exposure.Labels}
			if err := c.Apply(t.Context(), append(istiod.Objects(), exposure.Gateway(), secret)...); err != nil {
				t.Fatal(err)
			}
			parts := m.prune("a", m.install()).(several)
			parts = slices.DeleteFunc(parts, func(p part) bool { // they ask Helm, which asks a real API server
				return unwants[install.EastWestGateway](p) || unwants[install.IngressGateway](p)
			})
			change, err := parts.Look(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if !ours {
				if change.Needed() {
					t.Errorf("%+v", change)
				}
				return
			}
			for _, want := range []string{"stale: istio-remote-secret-b", "Gateway cross-network-gateway", "Gateway " + topology.IstiodGateway + " is there"} {
				if change.Action != graph.Delete || !strings.Contains(change.Reason, want) {
					t.Errorf("no %q in %+v", want, change)
				}
			}
			if err := parts.Do(t.Context(), c, change); err != nil {
				t.Fatal(err)
			}
			if change, err := parts.Look(t.Context(), c); err != nil || change.Needed() {
				t.Errorf("left: %+v, %v", change, err)
			}
		})
	}
}

// unwants says that a part takes a removable of one type away.
func unwants[T removable](p part) bool {
	u, ok := p.(unwanted)
	if ok {
		_, ok = u.removable.(T)
	}
	return ok
}

// TestNamespacesArePruned: of clusters that we write to, and of no others.
func TestNamespacesArePruned(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	for _, name := range m.Topology.Names() {
		if !slices.ContainsFunc(m.prune(name, m.install()).(several), unwants[install.DroppedNamespaces]) {
			t.Errorf("not in %s", name)
		}
	}
	m.Topology.Cluster("east").Manage = topology.Manage{}
	if slices.ContainsFunc(m.prune("east", m.install()).(several), unwants[install.DroppedNamespaces]) {
		t.Error("east is only checked")
	}
	m.install().Kept("west", "namespace shop is kept")
	if got := m.Kept(); !slices.Equal(got, []string{"west: namespace shop is kept"}) {
		t.Errorf("told of is %q", got)
	}
}

// TestBalancerThatIsNotAskedFor goes before gateways wait for another one's address; where nothing is
// written none is looked for.
func TestBalancerThatIsNotAskedFor(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{topology.LoadBalancerExisting, topology.LoadBalancerNone} {
		m := newMesh(t, example)
		west := m.Topology.Cluster("west")
		west.LoadBalancer = topology.LoadBalancer{Type: kind}
		steps := Up(m)
		if err := graph.Validate(steps); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"ingress@west", "eastwest@west"} {
			if needs := stepNamed(t, steps, id).Needs; !slices.Contains(needs, "loadbalancer@west") {
				t.Errorf("%s: %s needs %q", kind, id, needs)
			}
		}
		if !unwants[install.MetalLB](m.balancer(west, m.install())) {
			t.Errorf("%s: it is not taken away", kind)
		}
		if made, err := Render(t.Context(), m); err != nil || slices.ContainsFunc(made.Manifests, func(f Manifest) bool { return f.Cluster == "west" && f.Name == "loadbalancer" }) {
			t.Errorf("%s: it is rendered, %v", kind, err)
		}
	}
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	m.Topology.Cluster("east").Manage = topology.Manage{}
	for _, s := range Up(m) {
		if s.ID == "loadbalancer@east" {
			t.Error("east is only checked")
		}
	}
}

// TestLabelsOfNodesAreGivenBack: when the file no longer asks for them, those that we set go, and
// the user's own stay.
func TestLabelsOfNodesAreGivenBack(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	east := m.Topology.Cluster("east")
	east.Locality = topology.Locality{Region: "us-east"}
	theirs := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Labels: map[string]string{topology.LabelRegion: "eu"}}}
	c := newKube(t, "east", theirs, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bare"}})
	labels := install.NodeLabels{Mesh: m.install()}
	east.Provider.Kubeconfig.LabelNodes = true
	if err := labels.Do(t.Context(), c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	given := func() (all []string) {
		var nodes corev1.NodeList
		if err := c.List(t.Context(), &nodes); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes.Items {
			all = append(all, n.Name+" "+n.Labels[topology.LabelRegion])
		}
		return all
	}
	if diff := cmp.Diff([]string{"bare us-east", "theirs eu"}, given()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	find := func() int {
		return slices.IndexFunc(m.prune("east", m.install()).(several), unwants[install.NodeLabels])
	}
	if find() >= 0 {
		t.Fatal("they are asked for, and pruned")
	}
	part := func() part { return m.prune("east", m.install()).(several)[find()] }
	east.Provider.Kubeconfig.LabelNodes = false
	change, err := part().Look(t.Context(), c.Client)
	if err != nil || change.Action != graph.Delete || change.Reason != "locality of 1 nodes" {
		t.Fatalf("%+v, %v", change, err)
	}
	if err := part().Do(t.Context(), c.Client, change); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bare ", "theirs eu"}, given()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
