// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// shops is a mesh with a namespace that is injected and one that is not.
func shops(revision, tag string) Namespaces {
	m := twoClusters()
	m.Topology.Spec.Istio.Revision, m.Topology.Spec.Istio.Tag = revision, tag
	m.Topology.Spec.Namespaces = []topology.Namespace{{Name: "shop", Inject: true}, {Name: "plain"}}
	return Namespaces{m}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func labelsOf(t *testing.T, c *kube.Client, name string) map[string]string {
	t.Helper()
	var found corev1.Namespace
	if err := c.Get(t.Context(), client.ObjectKey{Name: name}, &found); err != nil {
		t.Fatal(err)
	}
	return found.Labels
}

func TestNamespacesAreMadeAndLabelled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ revision, tag, key, value string }{
		"default":  {"", "", "istio-injection", "enabled"},
		"revision": {"blue", "", "istio.io/rev", "blue"},
		"tag":      {"blue", "stable", "istio.io/rev", "stable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part := shops(tc.revision, tc.tag)
			c := kubetest.New(t, "west")
			lookAt(t, c.Client, part, graph.Create)
			doIt(t, c.Client, part)
			lookAt(t, c.Client, part, graph.None)
			if diff := cmp.Diff(kube.Labels(part.labels(), map[string]string{tc.key: tc.value}), labelsOf(t, c.Client, "shop")); diff != "" {
				t.Errorf("shop (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(part.labels(), labelsOf(t, c.Client, "plain")); diff != "" {
				t.Errorf("plain (-want +got):\n%s", diff)
			}
			// The file no longer asks for sidecars.
			part.Topology.Spec.Namespaces[0].Inject = false
			lookAt(t, c.Client, part, graph.Update)
			doIt(t, c.Client, part)
			lookAt(t, c.Client, part, graph.None)
			if diff := cmp.Diff(part.labels(), labelsOf(t, c.Client, "shop")); diff != "" {
				t.Errorf("shop without injection (-want +got):\n%s", diff)
			}
			if err := part.Remove(t.Context(), c.Client); err != nil {
				t.Fatal(err)
			}
			var left corev1.NamespaceList
			if err := c.List(t.Context(), &left); err != nil || len(left.Items) != 0 {
				t.Errorf("%d namespaces are left: %v", len(left.Items), err)
			}
		})
	}
}

// A namespace that was there before gets the label for injection only, and stays.
func TestNamespacesOfOthersAreOnlyLabelled(t *testing.T) {
	t.Parallel()
	part := shops("blue", "stable")
	c := kubetest.New(t, "west", namespace("shop", map[string]string{"team": "a"}), namespace("plain", map[string]string{"team": "b"}))
	lookAt(t, c.Client, part, graph.Update)
	doIt(t, c.Client, part)
	lookAt(t, c.Client, part, graph.None)
	if diff := cmp.Diff(map[string]string{"team": "a", "istio.io/rev": "stable"}, labelsOf(t, c.Client, "shop")); diff != "" {
		t.Errorf("shop (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"apply Namespace /shop"}, c.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if err := part.Remove(t.Context(), c.Client); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "a"}, labelsOf(t, c.Client, "shop")); diff != "" {
		t.Errorf("shop after Remove (-want +got):\n%s", diff)
	}
}

// Istio heeds istio-injection before istio.io/rev, so pods would have no sidecar, or another one's.
func TestNamespacesWithAnotherInjectionAreRefused(t *testing.T) {
	t.Parallel()
	part := shops("blue", "")
	c := kubetest.New(t, "west", namespace("shop", map[string]string{"istio-injection": "disabled"}))
	_, err := part.Look(t.Context(), c.Client)
	if err == nil || !strings.Contains(err.Error(), "namespace shop is labelled istio-injection=disabled, which goes before istio.io/rev=blue") {
		t.Errorf("error: %v", err)
	}
	if err := part.Do(t.Context(), c.Client, graph.Change{}); err == nil || len(c.Writes()) > 0 {
		t.Errorf("wrote %v, error %v", c.Writes(), err)
	}
}

func TestNamespacesWithPodsAreKept(t *testing.T) {
	t.Parallel()
	part := shops("", "")
	c := kubetest.New(t, "west", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	doIt(t, c.Client, part)
	if err := part.Remove(t.Context(), c.Client); err != nil {
		t.Fatal(err)
	}
	if got := labelsOf(t, c.Client, "shop"); len(got) != 0 {
		t.Errorf("the namespace that is kept says it is ours: %v", got)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "plain"}, &corev1.Namespace{}); !kube.Absent(err) {
		t.Errorf("the empty one is left: %v", err)
	}
}
