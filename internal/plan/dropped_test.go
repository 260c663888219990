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
			parts = parts[:len(parts)-1] // the last asks Helm, which asks a real API server
			parts = append(parts[:1:1], parts[2:]...)
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
			for _, want := range []string{"stale: istio-remote-secret-b", "Gateway cross-network-gateway", "Gateway "+topology.IstiodGateway+" is there"} {
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
