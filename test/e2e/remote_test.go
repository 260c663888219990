//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/topology"
)

// TestAllPrimaryRemote: east is served by the istiod of west, through its gateway.
func TestAllPrimaryRemote(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2eremote", example: "primary-remote", pairs: 2, then: []trial{
		{"ports are open only where they are needed", func(t *testing.T, m *mesh) {
			m.ports("west", topology.PortStatus, topology.PortCrossNetwork, topology.PortXDS, topology.PortWebhook)
			m.ports("east", topology.PortStatus, topology.PortCrossNetwork)
		}},
		{"nothing leads through the gateway to istiod", withoutWay},
		{"istio-system of the remote names no istiod", withoutAnnotation},
		{"the gateway of the primary gets another address", moved},
		{"the remote secret is removed", withoutRemoteSecret},
		{"nodes are started again with other addresses", restarted},
	}}.run(t)
}

// TestAllPrimaryRemoteOneNetwork: the same in one network, where the gateway leads to istiod only.
func TestAllPrimaryRemoteOneNetwork(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2eone", example: "primary-remote-one-network", pairs: 2, then: []trial{
		{"ports are open only where they are needed", func(t *testing.T, m *mesh) {
			m.ports("west", topology.PortStatus, topology.PortXDS, topology.PortWebhook)
			m.ports("east")
		}},
		{"nothing leads through the gateway to istiod", withoutWay},
	}}.run(t)
}

// TestAllExternal: istiod in a cluster without workloads, which reads west and serves it and east.
func TestAllExternal(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2eext", example: "external-control-plane", pairs: 2, then: []trial{
		{"what istiod reads west with is revoked", revoked},
		{"istio-system of the remote names no istiod", withoutAnnotation},
		{"the remote secret is removed", func(t *testing.T, m *mesh) {
			m.remove("ext", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("east")}})
			m.failsIn("discovery", "FED001")
			m.repaired()
		}},
	}}.run(t)
}

// remove deletes an object.
func (m *mesh) remove(cluster string, object client.Object) {
	m.t.Helper()
	if err := m.client(cluster).Delete(contextFor(m.t, time.Minute), object); err != nil {
		m.t.Fatal(err)
	}
}

// ports checks which ones an east-west gateway has; none means that there is no gateway.
func (m *mesh) ports(cluster string, want ...int32) {
	m.t.Helper()
	var service corev1.Service
	err := m.client(cluster).Get(contextFor(m.t, time.Minute), client.ObjectKey{Namespace: system, Name: topology.EastWestGateway}, &service)
	if client.IgnoreNotFound(err) != nil {
		m.t.Fatal(err)
	}
	var have []int32
	for _, p := range service.Spec.Ports {
		have = append(have, p.Port)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		m.t.Errorf("the gateway of %s has the ports %v, want %v", cluster, have, want)
	}
}

// mends runs `up`, which has to change just these steps, and proves the mesh again.
func (m *mesh) mends(steps ...string) {
	m.t.Helper()
	m.must("up")
	var changed []string
	for _, e := range m.events("up") {
		if step, ok := e["step"].(string); ok && e["event"] == "changed" && step != "verify" {
			changed = append(changed, step)
		}
	}
	if !slices.Equal(steps, changed) {
		m.t.Errorf("up changed %v, want %v", changed, steps)
	}
}

// withoutWay takes away what passes 15012 and 15017 on to istiod.
func withoutWay(t *testing.T, m *mesh) {
	m.remove("west", &networking.VirtualService{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.IstiodGateway}})
	r := m.run("verify", "--suite", "discovery", "-o", "json")
	rep := m.parse(r)
	if c := rep.result(t, "discovery-served", "", "east"); r.code != 3 || c.Status != "fail" || c.Code != "INS006" {
		t.Errorf("exit code %d, %s %s: %s", r.code, c.Status, c.Code, c.Message)
	}
	m.mends("expose-istiod@west")
}

// moved gives the gateway that leads to istiod another address: proxies of east lose their
// istiod until up leads them there again.
func moved(t *testing.T, m *mesh) {
	ctx := contextFor(t, 2*time.Minute)
	c := m.client("west")
	address := func() netip.Addr {
		var service corev1.Service
		if err := c.Get(ctx, client.ObjectKey{Namespace: system, Name: topology.EastWestGateway}, &service); err != nil {
			t.Fatal(err)
		}
		if in := service.Status.LoadBalancer.Ingress; len(in) == 1 {
			return netip.MustParseAddr(in[0].IP)
		}
		return netip.Addr{}
	}
	before := address()
	next := before.Next().Next().Next() // the two gateways of west have neighbours
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.EastWestGateway}}
	patch := `{"metadata":{"annotations":{"metallb.io/loadBalancerIPs":"` + next.String() + `"}}}`
	if err := c.Patch(ctx, service, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, c, "the gateway to have "+next.String(), func() (bool, string, error) { return address() == next, "it has " + address().String(), nil })
	r := m.run("verify", "--suite", "discovery", "-o", "json")
	rep := m.parse(r)
	if c := rep.result(t, "discovery-served", "", "east"); r.code != 3 || c.Code != "INS006" || !strings.Contains(c.Message, "leads to "+before.String()+", the istiod of west is at "+next.String()) {
		t.Errorf("exit code %d, %s %s: %s", r.code, c.Status, c.Code, c.Message)
	}
	m.mends("istiod-remote@east")
}

// withoutAnnotation takes away by what istiod knows that it serves east.
func withoutAnnotation(t *testing.T, m *mesh) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}
	patch := `{"metadata":{"annotations":{"` + topology.AnnotationControlPlanes + `":null}}}`
	if err := m.client("east").Patch(contextFor(t, time.Minute), ns, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	r := m.run("verify", "--suite", "discovery", "-o", "json")
	rep := m.parse(r)
	if c := rep.result(t, "discovery-served", "", "east"); r.code != 3 || c.Status != "fail" || c.Code != "INS007" {
		t.Errorf("exit code %d, %s %s: %s", r.code, c.Status, c.Code, c.Message)
	}
	m.mends("namespace@east")
}

// revoked deletes what the external istiod's token is bound to: the API server of west does not
// take it any more, and up gets another one, with which istiod starts again.
func revoked(t *testing.T, m *mesh) {
	m.remove("west", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "meshfed-remote-ext"}})
	waitUntil(t, m.client("west"), "the token to be refused", func() (bool, string, error) {
		plan := m.run("plan")
		return strings.Contains(plan.stdout, "the token was revoked") || strings.Contains(plan.stdout, "west does not accept the token"), plan.stdout, nil
	})
	m.repaired()
	upAgain(t, m)
}
