//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"
	"testing"

	networkingapi "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
)

func keyOf(obj client.Object) client.ObjectKey { return client.ObjectKeyFromObject(obj) }

// mixed is a file with a kind cluster and one of the user's own.
const mixed = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: mfe2emix}
spec:
  containerNetwork: NETWORK
  credentials: {lifetime: 24h, refresh: Manual}
  clusters:
  - name: west
    locality: {region: us-west}
    loadBalancer: {addresses: [10.94.7.200-10.94.7.207]}
    ingress: {hostPorts: {http: 31731}}
  - name: east
    provider: {kubeconfig: {path: KUBECONFIG, context: prod}}
    apiServer: {peerAddress: "PEER"}
    ingress: {}
  verify: {failover: {within: 30s, lostAtMost: 400}}
`

// TestExisting takes a cluster of the user's own into a mesh and out of it again.
func TestExisting(t *testing.T) {
	o := startOwn(t, "mfe2e-own", "10.94.7.0/24", "10.150.0.0/16", "10.94.7.240-10.94.7.247")
	c := o.client(t)
	user := accessTo(t, o)
	before := contents(t, c)
	t.Logf("%d objects before", len(before))
	m := meshOf(t, podman(), "mfe2emix", strings.NewReplacer("NETWORK", o.network, "KUBECONFIG", user.kubeconfig, "PEER", o.peerAddress(t)).Replace(mixed))
	t.Cleanup(func() {
		if r := m.run("down", "--delete-certs", "--yes"); r.code != 0 {
			t.Log(r)
		}
	})

	up := m.must("up", "-v")
	for _, want := range []string{"west", "east", "trust", "discovery", "authorization"} {
		if !strings.Contains(up.stdout, want) {
			t.Errorf("the result does not mention %q:\n%s", want, up.stdout)
		}
	}
	writes := user.written()
	t.Logf("%d different writes in the user's cluster:\n%s", len(writes), strings.Join(writes, "\n"))
	if w := stranger(writes); w != "" {
		t.Errorf("up wrote in the user's cluster: %s", w)
	}
	if user.proxied == 0 {
		t.Error("the proxy of the kubeconfig was not used")
	}
	user.nowhereIn(t, m.state, c, m.client("west"))
	t.Logf("%d objects while the mesh is up", len(contents(t, c)))

	if again := m.must("up"); !strings.Contains(again.stdout, "nothing changed") {
		t.Errorf("the second up does not say that nothing changed:\n%s", again)
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan sees changes: %s", plan)
	}
	if status := m.must("status"); !strings.Contains(status.stdout, "east") {
		t.Errorf("status: %s", status)
	}
	report := m.parse(m.must("verify", "-o", "json", "--suite", "trust,discovery,weights,locality,authorization"))
	if report.Summary["fail"]+report.Summary["inconclusive"] > 0 || report.Summary["pass"] == 0 {
		t.Errorf("summary %v:\n%s", report.Summary, report.words())
	}
	t.Logf("verify without failover: %.1f s, %v", report.DurationSeconds, report.Summary)
	if w := stranger(user.written()); w != "" {
		t.Errorf("verify wrote in the user's cluster: %s", w)
	}

	if r := m.run("down"); r.code != 2 || !strings.Contains(r.stderr, "your own") {
		t.Errorf("down without a word of consent: %s", r)
	}
	if err := os.RemoveAll(m.state); err != nil {
		t.Fatal(err)
	}
	m.must("down", "--yes", "-v")
	if diff := sameContents(t, c, before); diff != "" {
		t.Errorf("the user's cluster is not as it was (-before +after):\n%s", diff)
	}
	if w := stranger(user.written()); w != "" {
		t.Errorf("down wrote in the user's cluster: %s", w)
	}
	if again := m.must("down", "--yes"); !strings.Contains(again.stdout, "nothing of mfe2emix") {
		t.Errorf("a second down: %s", again)
	}
	t.Run("what the user makes meanwhile stays", func(t *testing.T) { m.t = t; meanwhile(t, m, o, before) })
	m.t = t
}

// meanwhile makes a VirtualService while the mesh is up: it stays, and the definitions with it.
func meanwhile(t *testing.T, m *mesh, o own, before []string) {
	c := o.client(t)
	m.must("up", "--verify", "never")
	route := virtualService()
	if err := c.ApplyValidated(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	down := m.must("down", "--delete-certs", "--yes")
	if !strings.Contains(down.stdout, "VirtualService shop/web") || !strings.Contains(down.stdout, "kept") {
		t.Errorf("down does not say what it kept:\n%s", down.stdout)
	}
	t.Logf("%d definitions were kept", removeRoute(t, c, route))
	if diff := sameContents(t, c, before); diff != "" {
		t.Errorf("but for what the user made, the cluster is not as it was (-before +after):\n%s", diff)
	}
}

// virtualService is what a user makes while Istio is there.
func virtualService() *networkingv1.VirtualService {
	route := &networkingv1.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	route.Spec.Hosts = []string{"web"}
	route.Spec.Http = []*networkingapi.HTTPRoute{{Route: []*networkingapi.HTTPRouteDestination{{Destination: &networkingapi.Destination{Host: "web"}}}}}
	return route
}

// removeRoute: the user's object has stayed, and Istio's definitions with it, which are nobody's of
// ours any more. The user removes both; it returns how many definitions there were.
func removeRoute(t *testing.T, c *kube.Client, route *networkingv1.VirtualService) (kept int) {
	t.Helper()
	if err := c.Get(t.Context(), keyOf(route), route); err != nil {
		t.Errorf("the VirtualService is gone: %v", err)
	}
	var definitions apiextensionsv1.CustomResourceDefinitionList
	if err := c.List(t.Context(), &definitions); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	for i := range definitions.Items {
		d := &definitions.Items[i]
		if !strings.HasSuffix(d.Spec.Group, ".istio.io") {
			continue
		}
		if kept++; d.Labels["meshfed.io/owner"] != "" {
			t.Errorf("%s still says that it is ours", d.Name)
		}
		if err := c.Remove(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if kept == 0 {
		t.Error("no definition was kept")
	}
	return kept
}
