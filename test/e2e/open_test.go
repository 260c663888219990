//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1alpha3"
	securityapi "istio.io/api/security/v1beta1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// broken puts objects of somebody else into a cluster while f runs: `up` neither makes nor
// mends them. Istio gets a moment to tell its proxies.
func (m *mesh) broken(cluster string, f func(), objects ...map[string]any) {
	m.t.Helper()
	ctx, c := contextFor(m.t, 5*time.Minute), m.client(cluster)
	for _, content := range objects {
		object := &unstructured.Unstructured{Object: content}
		object.SetNamespace(topology.SystemNamespace)
		if err := c.Create(ctx, object); err != nil {
			m.t.Fatal(err)
		}
		defer func() {
			if err := c.Delete(ctx, object); err != nil {
				m.t.Error(err)
			}
		}()
	}
	f()
}

// openGateway is a Gateway that passes TLS on by wide names beside the one that passes it on by
// the mesh's own: a connection for a service that does not exist ends at istiod.
func openGateway(t *testing.T, m *mesh) {
	gateway := map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": map[string]any{"name": "wide"},
		"spec": map[string]any{
			"selector": map[string]any{"istio": topology.EastWestSelector},
			"servers": []any{map[string]any{
				"port":  map[string]any{"number": int64(topology.PortCrossNetwork), "name": "tls-wide", "protocol": "TLS"},
				"hosts": []any{"*.svc.cluster.local"}, "tls": map[string]any{"mode": "PASSTHROUGH"},
			}},
		},
	}
	route := map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "wide"},
		"spec": map[string]any{
			"hosts": []any{"*.svc.cluster.local"}, "gateways": []any{"wide"},
			"tls": []any{map[string]any{
				"match": []any{map[string]any{"port": int64(topology.PortCrossNetwork), "sniHosts": []any{"*.svc.cluster.local"}}},
				"route": []any{map[string]any{"destination": map[string]any{"host": "istiod.istio-system.svc.cluster.local", "port": map[string]any{"number": int64(topology.PortXDS)}}}},
			}},
		},
	}
	m.broken("east", func() {
		rep := m.failsOf("gateway", "gateway", "NET015")
		for _, c := range rep.Checks {
			if c.Status == "fail" && (c.ID != "gateway-unknown" || c.From != "west" || c.Variant != "unknown SNI") {
				t.Errorf("more than the unknown SNI failed:\n%s", rep.words())
			}
		}
	}, gateway, route)
	m.must("verify", "--suite", "gateway")
}

// trustsAnybody makes the sidecars of one cluster accept certificates of any root, as a wrong
// EnvoyFilter can: whoever reaches the gateway is let in.
func trustsAnybody(t *testing.T, m *mesh) {
	filter := map[string]any{
		"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": map[string]any{"name": "anybody"},
		"spec": map[string]any{"configPatches": []any{map[string]any{
			// Chains for plaintext would be given TLS by it.
			"applyTo": "FILTER_CHAIN", "match": map[string]any{"context": "SIDECAR_INBOUND", "listener": map[string]any{
				"filterChain": map[string]any{"destinationPort": int64(probe.PortApp), "transportProtocol": "tls"}}},
			"patch": map[string]any{"operation": "MERGE", "value": map[string]any{"transport_socket": map[string]any{
				"name": "envoy.transport_sockets.tls",
				"typed_config": map[string]any{
					"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
					"common_tls_context": map[string]any{"combined_validation_context": map[string]any{
						"default_validation_context": map[string]any{"trust_chain_verification": "ACCEPT_UNTRUSTED"},
					}},
				},
			}}},
		}}},
	}
	m.broken("east", func() {
		rep := m.failsOf("gateway", "gateway", "AUZ002")
		for _, c := range rep.Checks {
			if c.Status == "fail" && (c.ID != "gateway-certificate" || c.From != "west" || c.Variant != "foreign root") {
				t.Errorf("more than the foreign root failed:\n%s", rep.words())
			}
		}
	}, filter)
	m.must("verify", "--suite", "gateway")
}

// names are found by their stubs. DNS proxying that the file promises and the mesh does not have
// is seen, and so is a name behind which nobody answers any more.
func names(t *testing.T, m *mesh) {
	m.must("verify", "--suite", "dns")
	r := m.run("verify", "--suite", "dns", "-o", "json", "--set", "spec.istio.dnsProxying=true")
	rep := m.parse(r)
	if r.code != 3 || !slices.Equal(rep.codes(), []string{"FED014"}) {
		t.Errorf("exit code %d, codes %v:\n%s", r.code, rep.codes(), rep.words())
	}
	ctx := contextFor(t, time.Minute)
	if err := m.client("west").Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("east")}}); err != nil {
		t.Fatal(err)
	}
	m.failsOf("dns", "dns", "FED001")
	m.repaired()
}

// ownService is in both clusters with outlier detection, passes, and fails where east's has
// another name for its port, none, and a policy that keeps its caller out.
func ownService(t *testing.T, m *mesh) {
	for _, cluster := range []string{"west", "east"} {
		c := m.client(cluster)
		ns := kube.Namespace("shop", map[string]string{topology.LabelInjection: "enabled"})
		if err := c.Create(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Remove(context.WithoutCancel(t.Context()), ns); err != nil {
				t.Error(err)
			}
		}()
		launch(t, c, "shop", "web", probeImage(t, c), true)
		rule := &networking.DestinationRule{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		rule.Spec.Host = "web.shop.svc.cluster.local"
		rule.Spec.TrafficPolicy = &networkingapi.TrafficPolicy{OutlierDetection: &networkingapi.OutlierDetection{MaxEjectionPercent: 100}}
		if err := c.Create(t.Context(), rule); err != nil {
			t.Fatal(err)
		}
	}
	ready(t, m.client("west"), "shop", "web")
	ready(t, m.client("east"), "shop", "web")
	const named = `spec.services=[{host: web.shop, failover: true, callers: [shop/default], probe: {requests: 10}}]`
	if rep := m.parse(m.must("verify", "--suite", "services", "--set", named, "-o", "json")); len(rep.Checks) < 15 {
		t.Errorf("too few results:\n%s", rep.words())
	}
	if r := m.run("verify", "--suite", "services"); !strings.Contains(r.stdout, "covers probes only, 0 of 1 shared services") {
		t.Errorf("what is not looked at is not said: %s", r)
	}

	east := m.client("east")
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/ports/0/name","value":"web"}]`))
	if err := east.Patch(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}, patch); err != nil {
		t.Fatal(err)
	}
	if err := east.Delete(t.Context(), &networking.DestinationRule{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	// Keeps the caller that the file names out of east, and nobody else: verify's own is let in.
	deny := &security.AuthorizationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "callers"}}
	deny.Spec.Action = securityapi.AuthorizationPolicy_DENY
	deny.Spec.Rules = []*securityapi.Rule{{From: []*securityapi.Rule_From{{Source: &securityapi.Source{Principals: []string{"cluster.local/ns/shop/sa/default"}}}}}}
	if err := east.Create(t.Context(), deny); err != nil {
		t.Fatal(err)
	}
	r := m.run("verify", "--suite", "services", "--set", named, "-o", "json")
	rep := m.parse(r)
	for _, code := range []string{"AUZ001", "FED013", "LOC002"} {
		if r.code != 3 || !slices.Contains(rep.codes(), code) {
			t.Errorf("exit code %d, %s is not among %v:\n%s", r.code, code, rep.codes(), rep.words())
		}
	}
}
