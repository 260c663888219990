//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
