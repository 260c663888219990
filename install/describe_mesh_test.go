// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"testing"
	"time"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	security "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// TestMeshMode: the oldest policy of the root namespace without a selector is the mesh's.
func TestMeshMode(t *testing.T) {
	t.Parallel()
	policy := func(name, namespace string, mode securityapi.PeerAuthentication_MutualTLS_Mode, age time.Duration) *security.PeerAuthentication {
		return &security.PeerAuthentication{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(noon().Add(-age))},
			Spec:       securityapi.PeerAuthentication{Mtls: &securityapi.PeerAuthentication_MutualTLS{Mode: mode}},
		}
	}
	const strict, permissive = securityapi.PeerAuthentication_MutualTLS_STRICT, securityapi.PeerAuthentication_MutualTLS_PERMISSIVE
	selecting := policy("some", topology.SystemNamespace, strict, 3*time.Hour)
	selecting.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: map[string]string{"a": "b"}}
	for name, tc := range map[string]struct {
		policies []*security.PeerAuthentication
		want     bool
	}{
		"none":                 {nil, false},
		"strict, any name":     {[]*security.PeerAuthentication{policy("mine", topology.SystemNamespace, strict, 0)}, true},
		"of another namespace": {[]*security.PeerAuthentication{policy("default", "shop", strict, 0)}, false},
		"of some workloads":    {[]*security.PeerAuthentication{selecting}, false},
		"the older one holds": {[]*security.PeerAuthentication{
			policy("a", topology.SystemNamespace, strict, time.Hour), policy("b", topology.SystemNamespace, permissive, 2*time.Hour)}, false},
	} {
		c := kubetest.New(t, "west")
		for _, p := range tc.policies {
			if err := c.Create(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := meshStrict(t.Context(), c.Client); err != nil || got != tc.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	c := kubetest.New(t, "west", &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "any", Name: "ztunnel", Labels: map[string]string{"app": "ztunnel"}}})
	var f Found
	if err := (describer{c: c.Client}).mode(t.Context(), &f); err != nil || !f.Ambient {
		t.Errorf("ztunnel is not seen: %v", err)
	}
}

// TestSharedLocality is what holds for all nodes.
func TestSharedLocality(t *testing.T) {
	t.Parallel()
	node := func(region, zone string) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: zone}}}
	}
	for want, nodes := range map[topology.Locality][]corev1.Node{
		{}:                        {node("us", "a"), node("eu", "a")},
		{Region: "us"}:            {node("us", "a"), node("us", "b"), node("us", "a")},
		{Region: "us", Zone: "a"}: {node("us", "a"), node("us", "a")},
	} {
		if got := sharedLocality(nodes); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if got := sharedLocality([]corev1.Node{node("us", "a"), {}}); got != (topology.Locality{}) {
		t.Errorf("a node without labels: %v", got)
	}
}
