// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func TestPruneTakesOnlyWhatIsStaleAndOurs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	secret := func(name, owner, remote string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "istio-system",
			Labels: map[string]string{"meshfed.io/owner": owner, "istio/multiCluster": remote}}}
	}
	c := kubetest.New(t, "west",
		secret("istio-remote-secret-east", "o1", "true"),
		secret("istio-remote-secret-gone", "o1", "true"),
		secret("istio-remote-secret-theirs", "o2", "true"),
		secret("meshfed-remote-east", "o1", ""),
		secret("meshfed-remote-gone", "o1", ""),
		secret("cacerts", "o1", ""),
	)
	p := federation.Prune{In: c.Client, Peers: []string{"east"}, Readers: []string{"east"}, Labels: map[string]string{"meshfed.io/owner": "o1"}}
	got, err := p.Look(ctx)
	if err != nil || got.Action != graph.Delete || got.Reason != "stale: istio-remote-secret-gone, meshfed-remote-gone" {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := p.Do(ctx, got); err != nil {
		t.Fatal(err)
	}
	want := []string{"delete Secret istio-system/istio-remote-secret-gone", "delete Secret istio-system/meshfed-remote-gone"}
	if diff := cmp.Diff(want, c.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got, err := p.Look(ctx); err != nil || got.Needed() {
		t.Errorf("after: %+v, %v", got, err)
	}
	p.Labels = nil
	p.Peers = nil
	if got, err := p.Look(ctx); err != nil || got.Needed() {
		t.Errorf("without labels: %+v, %v", got, err)
	}
	c.Fail("list", "", "", errors.New("boom"), 0)
	p.Labels = map[string]string{"meshfed.io/owner": "o1"}
	if got, err := p.Look(ctx); err == nil || got.Action != graph.Unknown {
		t.Errorf("unreadable: %+v, %v", got, err)
	}
}
