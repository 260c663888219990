// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// primaryRemote is a mesh in which the istiod of west serves east.
func primaryRemote() Mesh {
	m := twoClusters()
	m.Topology.Spec.Clusters[1].Primary, m.Topology.Spec.Clusters[1].Config = "west", "west"
	return m
}

// external is a mesh in which an istiod in ext, which reads west, serves west and east.
func external() Mesh {
	m := twoClusters()
	for i := range m.Topology.Spec.Clusters {
		m.Topology.Spec.Clusters[i].Primary, m.Topology.Spec.Clusters[i].Config = "ext", "west"
	}
	m.Topology.Spec.Clusters = append(m.Topology.Spec.Clusters, topology.Cluster{
		Name: "ext", Primary: "ext", Config: "west", Network: "ext-network",
		Provider: topology.Provider{Kind: &topology.KindProvider{}}, LoadBalancer: topology.LoadBalancer{Type: "MetalLB"},
	})
	return m
}

func TestValuesByShape(t *testing.T) {
	t.Parallel()
	remote, ext := primaryRemote(), external()
	for name, values := range map[string]map[string]any{
		"primary":         Istiod{remote}.Values(remote.Topology.Cluster("west")),
		"remote":          RemoteIstiod{remote, "10.89.0.7"}.Values(remote.Topology.Cluster("east")),
		"external":        Istiod{ext}.Values(ext.Topology.Cluster("ext")),
		"external-config": RemoteIstiod{ext, "10.89.0.8"}.Values(ext.Topology.Cluster("west")),
		"primary-gateway": EastWestGateway{remote}.Values(remote.Topology.Cluster("west")),
		"remote-gateway":  EastWestGateway{remote}.Values(remote.Topology.Cluster("east")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Check(t, "testdata/shape-"+name+".yaml", asYAML(t, values))
		})
	}
}

// renderedKinds are the objects of a release, by kind and name.
func renderedKinds(t *testing.T, r Release) []string {
	t.Helper()
	var all []string
	for _, u := range objects(t, render(t, r)) {
		all = append(all, u.GetKind()+" "+u.GetName())
	}
	return all
}

// TestRemoteIstiodRenders: what a served cluster gets in place of an istiod, and what an
// external one leaves out.
func TestRemoteIstiodRenders(t *testing.T) {
	t.Parallel()
	remote := must(RemoteIstiod{primaryRemote(), "10.89.0.7"}.Release(named("east")))(t)
	want := []string{
		"ConfigMap values", "ClusterRole istio-reader-clusterrole-istio-system", "ClusterRoleBinding istio-reader-clusterrole-istio-system",
		"Service istiod", "MutatingWebhookConfiguration istio-sidecar-injector", "EndpointSlice istiod",
	}
	if diff := cmp.Diff(want, renderedKinds(t, remote)); diff != "" {
		t.Errorf("remote (-want +got):\n%s", diff)
	}
	manifest := render(t, remote)
	slice := object(t, manifest, "EndpointSlice", "istiod")
	endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
	if diff := cmp.Diff([]any{map[string]any{"addresses": []any{"10.89.0.7"}}}, endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if !strings.Contains(manifest, "/inject/cluster/east/net/east-network") {
		t.Error("the webhook does not say whose pods are injected")
	}

	config := strings.Join(renderedKinds(t, must(RemoteIstiod{external(), "10.89.0.8"}.Release(named("west")))(t)), "\n")
	for _, need := range []string{"ConfigMap istio\n", "ConfigMap istio-sidecar-injector", "ServiceAccount istiod", "ClusterRole istiod-clusterrole-istio-system", "EndpointSlice istiod", "ValidatingWebhookConfiguration"} {
		if !strings.Contains(config+"\n", need) {
			t.Errorf("the config cluster of an external istiod has no %s:\n%s", need, config)
		}
	}
	if strings.Contains(config, "Deployment") {
		t.Error("an istiod in the config cluster")
	}

	outside := strings.Join(renderedKinds(t, must(Istiod{external()}.Release(named("ext")))(t)), "\n")
	for _, never := range []string{"WebhookConfiguration", "ConfigMap istio", "istio-reader"} {
		if strings.Contains(outside, never) {
			t.Errorf("the cluster of an external istiod has %s, which nobody uses:\n%s", never, outside)
		}
	}
	if !strings.Contains(outside, "Deployment istiod") {
		t.Error("no istiod")
	}
}

// An external istiod's revision is in the name that its proxies ask for.
func TestExternalDiscoveryAddressHasTheRevision(t *testing.T) {
	t.Parallel()
	m := external()
	m.Topology.Spec.Istio.Revision = "blue"
	manifest := render(t, must(RemoteIstiod{m, "10.89.0.8"}.Release(named("west")))(t))
	mesh, _, _ := unstructured.NestedString(object(t, manifest, "ConfigMap", "istio-blue").Object, "data", "mesh")
	if !strings.Contains(mesh, "discoveryAddress: istiod-blue.istio-system.svc:15012") {
		t.Errorf("mesh configuration:\n%s", mesh)
	}
}

func TestServedNamespaceNamesItsIstiod(t *testing.T) {
	t.Parallel()
	for cluster, want := range map[string]string{"east": "west", "west": "west", "ext": ""} {
		c := kubetest.New(t, cluster)
		part := SystemNamespace{external()}
		doIt(t, c.Client, part)
		lookAt(t, c.Client, part, graph.None)
		var ns corev1.Namespace
		if err := c.Get(t.Context(), client.ObjectKey{Name: topology.SystemNamespace}, &ns); err != nil {
			t.Fatal(err)
		}
		if got := ns.Annotations[topology.AnnotationControlPlanes]; got != want {
			t.Errorf("%s: %q, want %q", cluster, got, want)
		}
		if _, labelled := ns.Labels[topology.LabelNetwork]; labelled != (cluster != "ext") {
			t.Errorf("%s: labels %v", cluster, ns.Labels)
		}
		// Somebody takes it away.
		if want != "" {
			ns.Annotations = nil
			if err := c.Update(t.Context(), &ns); err != nil {
				t.Fatal(err)
			}
			lookAt(t, c.Client, part, graph.Update)
		}
	}
}

// TestRemoteIstiodIsRefusedBesideAnIstiod: a primary is not turned into a remote while it lives.
func TestRemoteIstiodIsRefusedBesideAnIstiod(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "east", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istiod-1", Labels: map[string]string{"app": "istiod"}}})
	_, err := RemoteIstiod{primaryRemote(), "10.89.0.7"}.Look(t.Context(), c.Client)
	if err == nil || !strings.Contains(err.Error(), "an istiod runs in east") {
		t.Errorf("error: %v", err)
	}
}

func TestInjection(t *testing.T) {
	t.Parallel()
	served := given(newRoot(t, "root"))
	root, other := served.Data["root-cert.pem"], given(newRoot(t, "other")).Data["root-cert.pem"]
	hook := func(bundle string) *admissionv1.MutatingWebhookConfiguration {
		return &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: injectorWebhook},
			Webhooks: []admissionv1.MutatingWebhook{{Name: "a", ClientConfig: admissionv1.WebhookClientConfig{CABundle: []byte(bundle)}}}}
	}
	for name, tc := range map[string]struct {
		found  []client.Object
		action graph.Action
		reason string
	}{
		"nothing":      {nil, graph.Create, "istio-ca-root-cert is not there yet"},
		"no webhook":   {[]client.Object{served}, graph.Create, "istio-sidecar-injector is not there yet"},
		"no caBundle":  {[]client.Object{served, hook("")}, graph.Create, "no caBundle yet"},
		"another root": {[]client.Object{served, hook(other)}, graph.Create, "without root"},
		"all is there": {[]client.Object{served, hook(root)}, graph.None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "east", tc.found...)
			change, err := Injection{primaryRemote()}.Look(t.Context(), c.Client)
			if err != nil || change.Action != tc.action || !strings.Contains(change.Reason, tc.reason) {
				t.Errorf("%+v, %v", change, err)
			}
		})
	}
}

// TestExternalService: the address is waited for.
func TestExternalService(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "ext")
	part := ExternalService{external()}
	lookAt(t, c.Client, part, graph.Create)
	service := part.Service()
	if err := c.Apply(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	if change, err := part.Look(t.Context(), c.Client); err != nil || change.Action != graph.Update || !strings.Contains(change.Reason, "no external address yet") {
		t.Errorf("without an address: %+v, %v", change, err)
	}
	var live corev1.Service
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(service), &live); err != nil {
		t.Fatal(err)
	}
	live.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.89.0.8"}}
	if err := c.Status().Update(t.Context(), &live); err != nil {
		t.Fatal(err)
	}
	lookAt(t, c.Client, part, graph.None)
}
