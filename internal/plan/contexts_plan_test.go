// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1"
	securityapi "istio.io/api/security/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

func theirs(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name, Labels: labels}
}

func readyPod(name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: theirs(name, labels), Status: corev1.PodStatus{Phase: corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
}

// runs is a cluster of a mesh that somebody else installed, reading one peer.
func runs(t *testing.T, root *certs.Root, name, peer string) *kubetest.Cluster {
	t.Helper()
	ca, err := root.NewCACerts(certs.Options{CommonName: name, Lifetime: 24 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	istiod := &appsv1.Deployment{ObjectMeta: theirs("istiod", map[string]string{"app": "istiod"}), Status: appsv1.DeploymentStatus{ReadyReplicas: 1}}
	istiod.Spec.Template.Spec.Containers = []corev1.Container{{Name: "discovery", Image: "docker.io/istio/pilot:" + topology.IstioVersion, Env: []corev1.EnvVar{{Name: "CLUSTER_ID", Value: name}}}}
	gateway := &corev1.Service{ObjectMeta: theirs(topology.EastWestGateway, map[string]string{"istio": "eastwestgateway", topology.LabelNetwork: name + "-net"}),
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: topology.PortCrossNetwork}}}}
	gateway.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: topology.SystemNamespace, Labels: map[string]string{topology.LabelNetwork: name + "-net"}}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelTopologyRegion: "us-" + name}},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}},
		istiod, gateway, readyPod("istiod-1", map[string]string{"app": "istiod"}), readyPod("ew-1", map[string]string{"istio": topology.EastWestSelector}),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: types.UID(name)}},
		&corev1.ConfigMap{ObjectMeta: theirs("istio", nil), Data: map[string]string{"mesh": "trustDomain: shop.example.com"}},
		&corev1.ConfigMap{ObjectMeta: theirs("istio-sidecar-injector", nil), Data: map[string]string{"values": fmt.Sprintf(`{"global": {"meshID": "shop", "network": "%s-net"}}`, name)}},
		&corev1.Secret{ObjectMeta: theirs(topology.CACertsSecret, nil), Data: ca.Data()},
		&corev1.Secret{ObjectMeta: theirs("theirs", map[string]string{topology.LabelMultiCluster: "true"}), Data: map[string][]byte{peer: []byte("server: https://127.0.0.1:1")}},
		&admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "istio-sidecar-injector"}, Webhooks: []admissionv1.MutatingWebhook{{Name: "a", ClientConfig: admissionv1.WebhookClientConfig{CABundle: []byte("x")}}}},
		&security.PeerAuthentication{ObjectMeta: theirs("theirs", nil), Spec: securityapi.PeerAuthentication{Mtls: &securityapi.PeerAuthentication_MutualTLS{Mode: securityapi.PeerAuthentication_MutualTLS_STRICT}}},
		&networkingv1.Gateway{ObjectMeta: theirs("theirs", nil), Spec: networkingapi.Gateway{Servers: []*networkingapi.Server{{
			Port: &networkingapi.Port{Number: topology.PortCrossNetwork}, Tls: &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH}}}}},
	}
	for _, kind := range []string{"gateways.networking.istio.io", "virtualservices.networking.istio.io", "peerauthentications.security.istio.io"} {
		objects = append(objects, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: kind}})
	}
	c := kubetest.New(t, name, objects...)
	c.Forwards(t, map[string]http.Handler{"istio-system/istiod-1:15014": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprintf(`[{"id": %q, "syncStatus": "synced"}, {"id": %q, "secretName": "istio-system/theirs", "syncStatus": "synced"}]`, name, peer))
	})})
	return c
}

// describedMesh is two such clusters, and the mesh of the file that describes them.
func describedMesh(t *testing.T) (*Mesh, []*kubetest.Cluster) {
	t.Helper()
	root, err := certs.NewRoot(certs.Options{CommonName: "root.x", Lifetime: 48 * time.Hour, Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	clusters := []*kubetest.Cluster{runs(t, root, "west", "east"), runs(t, root, "east", "west")}
	running := Running{Contexts: []string{"one", "two"}}
	for _, c := range clusters {
		found, err := install.Describe(t.Context(), c.Cluster, c.Client)
		if err != nil {
			t.Fatal(err)
		}
		running.Found = append(running.Found, found)
	}
	text, tp, err := running.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	if err != nil {
		t.Fatal(err)
	}
	m := &Mesh{Topology: tp, State: dir, Pull: true}
	return m.with(clusters...), clusters
}

// TestPlanOfWhatWasFound: the file that describes a mesh of somebody else's asks for nothing, not
// even a record of ownership, an address for peers that are served already, or a root.
func TestPlanOfWhatWasFound(t *testing.T) {
	t.Parallel()
	m, clusters := describedMesh(t)
	if l := m.Topology.Cluster("east").Locality; l.Region != "us-east" || m.Topology.Spec.Mesh.MTLS != topology.MTLSStrict {
		t.Errorf("locality %v, mode %s", l, m.Topology.Spec.Mesh.MTLS)
	}
	planned, err := graph.Plan(t.Context(), Up(m), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range planned {
		if p.Change.Action != graph.None {
			t.Errorf("%s: %s %s %v", p.Step.ID, p.Change.Action, p.Change.Reason, p.Change.Fields)
		}
	}
	for _, c := range clusters { // whose gateways' Deployments have other names than ours
		if state, err := m.meshState(t.Context(), c.Client, m.Topology.Cluster(c.Cluster)); err != nil || state != "ready" {
			t.Errorf("status of %s: %q, %v", c.Cluster, state, err)
		}
	}
	if err := m.Preflight(t.Context()); err != nil || m.BuildProbe || m.Registry != nil {
		t.Errorf("what up asks before it begins: %v, and of registries", err)
	}
	for _, c := range clusters {
		if w := c.Writes(); len(w) > 0 {
			t.Errorf("%s was written: %v", c.Cluster, w)
		}
	}
}

// TestDriftOfWhatWasFound: what is no longer as it was found is an error of its step, and nothing
// to be done.
func TestDriftOfWhatWasFound(t *testing.T) {
	t.Parallel()
	for id, gone := range map[string]client.Object{
		"mtls@east":               &security.PeerAuthentication{ObjectMeta: theirs("theirs", nil)},
		"remote-secret@east:west": &corev1.Secret{ObjectMeta: theirs("theirs", nil)},
		"cacerts@east":            &corev1.Secret{ObjectMeta: theirs(topology.CACertsSecret, nil)},
		"expose@east":             &networkingv1.Gateway{ObjectMeta: theirs("theirs", nil)},
		"namespace@east":          &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: topology.SystemNamespace}},
	} {
		m, clusters := describedMesh(t)
		if err := clusters[1].Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		steps := Up(m)
		i := slices.IndexFunc(steps, func(s graph.Step) bool { return s.ID == id })
		if i < 0 {
			t.Fatalf("there is no step %s", id)
		}
		if change, err := steps[i].Look(t.Context()); err == nil || !strings.Contains(err.Error(), "is false, so it is not written") {
			t.Errorf("%s: %+v, %v", id, change, err)
		}
	}
}

// TestDownOfWhatIsOnlyChecked removes nothing but what verify left, whatever labels are there.
func TestDownOfWhatIsOnlyChecked(t *testing.T) {
	t.Parallel()
	m, _ := describedMesh(t)
	steps, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if !strings.HasPrefix(s.ID, "probes@") {
			t.Errorf("step %s", s.ID)
		}
	}
	m.Topology.Cluster("west").Manage.Gateways = true
	if m.onlyChecked("west") {
		t.Error("a cluster whose gateways are managed is only checked")
	}
}
