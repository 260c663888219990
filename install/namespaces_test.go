// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
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

// TestNamespacesThatNobodyAsksFor: whether the file has dropped them or the mesh is taken down,
// those that we made go when nothing but ours is in them, and of those that stay only what we set
// is taken away. It is told by name, before and after.
func TestNamespacesThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	in := func(obj client.Object, namespace, name string) client.Object {
		obj.SetNamespace(namespace)
		obj.SetName(name)
		return obj
	}
	owner := func(obj client.Object, kind string) client.Object {
		obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "o", UID: "o"}})
		return obj
	}
	login := in(&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}, "shop", "regcred")
	login.SetLabels(twoClusters().labels())
	for name, tc := range map[string]struct {
		inside []client.Object
		silent string
		stays  string
	}{
		"empty": {},
		"what every namespace has": {inside: []client.Object{
			in(&corev1.ServiceAccount{}, "shop", "default"), in(&corev1.ConfigMap{}, "shop", "kube-root-ca.crt"),
			in(&corev1.ConfigMap{}, "shop", topology.RootCertConfigMap), in(&corev1.Event{}, "shop", "e"), login,
		}},
		"what something of the namespace owns": {inside: []client.Object{owner(in(&corev1.Pod{}, "shop", "web-1"), "ConfigMap")}},
		"a pod":                                {inside: []client.Object{in(&corev1.Pod{}, "shop", "web")}, stays: "Pod shop/web is not ours"},
		"settings":                             {inside: []client.Object{in(&corev1.ConfigMap{}, "shop", "settings"), login}, stays: "ConfigMap shop/settings is not ours"},
		"a volume":                             {inside: []client.Object{in(&corev1.PersistentVolumeClaim{}, "shop", "data")}, stays: "PersistentVolumeClaim shop/data is not ours"},
		"what the cluster owns":                {inside: []client.Object{owner(in(&corev1.Secret{}, "shop", "db"), "Node")}, stays: "Secret shop/db is not ours"},
		"what nobody can look at":              {silent: "data.example.com", stays: "the API group data.example.com/v1beta1 does not answer"},
		"somebody else's pull secret":          {inside: []client.Object{in(&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson}, "shop", "mine")}, stays: "Secret shop/mine is not ours"},
	} {
		for how, removal := range map[string]func(Namespaces) Removal{
			"dropped": func(n Namespaces) Removal { return DroppedNamespaces(n) },
			"down":    func(n Namespaces) Removal { return n },
		} {
			t.Run(how+" "+name, func(t *testing.T) {
				t.Parallel()
				part := shops("", "")
				c := kubetest.New(t, "west", namespace("theirs", map[string]string{"team": "a"}))
				c.Silence(tc.silent)
				part.Topology.Spec.Namespaces = append(part.Topology.Spec.Namespaces, topology.Namespace{Name: "theirs", Inject: true})
				doIt(t, c.Client, part)
				for _, obj := range tc.inside {
					if err := c.Create(t.Context(), obj.DeepCopyObject().(client.Object)); err != nil {
						t.Fatal(err)
					}
				}
				var kept []string
				part.Kept = func(_, what string) { kept = append(kept, what) }
				part.Topology.Spec.Namespaces = part.Topology.Spec.Namespaces[1:2] // plain is still asked for
				want := []string{"namespace shop", "the label for injection of namespace theirs"}
				if tc.stays != "" {
					want[0] = "our labels of namespace shop, which is kept: " + tc.stays
				}
				change, err := removal(part).LookRemove(t.Context(), c.Client)
				for _, each := range want {
					if err != nil || change.Action != graph.Delete || !strings.Contains(change.Reason, each) {
						t.Errorf("looking: %+v, %v; want %q", change, err, each)
					}
				}
				if strings.Contains(change.Reason, "plain") == (how == "dropped") && tc.silent == "" {
					t.Errorf("the one that is asked for: %s", change.Reason)
				}
				if err := removal(part).Remove(t.Context(), c.Client); err != nil {
					t.Fatal(err)
				}
				if change, err := removal(part).LookRemove(t.Context(), c.Client); err != nil || change.Needed() {
					t.Errorf("looking again: %+v, %v", change, err)
				}
				if diff := cmp.Diff(map[string]string{"team": "a"}, labelsOf(t, c.Client, "theirs")); diff != "" {
					t.Errorf("theirs (-want +got):\n%s", diff)
				}
				if err := c.Get(t.Context(), client.ObjectKey{Name: "shop"}, &corev1.Namespace{}); kube.Absent(err) != (tc.stays == "") {
					t.Errorf("shop: %v", err)
				}
				if tc.stays == "" {
					return
				}
				if got := labelsOf(t, c.Client, "shop"); len(got) != 0 || !strings.Contains(strings.Join(kept, "\n"), "namespace shop is kept: "+tc.stays) {
					t.Errorf("it has the labels %v, and told was %q", got, kept)
				}
				if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "regcred"}, &corev1.Secret{}); !kube.Absent(err) {
					t.Errorf("our login is still there: %v", err)
				}
			})
		}
	}
}

// TestNamespacesOfOtherParts are not dropped ones.
func TestNamespacesOfOtherParts(t *testing.T) {
	t.Parallel()
	part := shops("", "")
	ours := func(name string, more map[string]string) *corev1.Namespace {
		return namespace(name, kube.Labels(part.labels(), more))
	}
	c := kubetest.New(t, "west", ours(topology.SystemNamespace, nil), ours(topology.MetalLBNamespace, nil), ours("probes", map[string]string{topology.LabelVerify: "true"}),
		namespace("injected", map[string]string{topology.LabelInjection: "enabled"}), namespace("of-another-topology", kube.Labels(part.labels(), map[string]string{topology.LabelTopology: "other"})))
	if change, err := (DroppedNamespaces(part)).LookRemove(t.Context(), c.Client); err != nil || change.Needed() {
		t.Errorf("%+v, %v", change, err)
	}
	// What was rendered has no owner, and neither have we before the first `up`.
	part.Owner = ""
	c = kubetest.New(t, "west", namespace("rendered", map[string]string{topology.LabelTopology: part.Topology.Metadata.Name}))
	if change, err := (DroppedNamespaces(part)).LookRemove(t.Context(), c.Client); err != nil || change.Needed() {
		t.Errorf("rendered: %+v, %v", change, err)
	}
}

// TestNamespaceWithALoginIsInjected: whichever of the two parts comes first.
func TestNamespaceWithALoginIsInjected(t *testing.T) {
	t.Parallel()
	part, c := shops("", ""), kubetest.New(t, "west")
	part.Topology.Spec.Images.PullSecret = "regcred"
	doIt(t, c.Client, PullSecret{Mesh: part.Mesh, Namespace: "shop", Data: func(context.Context) (map[string][]byte, error) { return PullSecretData([]byte("{}")), nil }})
	if got := labelsOf(t, c.Client, "shop")[topology.LabelInjection]; got != "enabled" {
		t.Errorf("injection is %q", got)
	}
}
