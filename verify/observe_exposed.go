// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	securityapi "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/topology"
)

// observeExposed looks at what the gateways pass on to, in clusters that other networks reach.
func (s *session) observeExposed(ctx context.Context) {
	clusters := slices.DeleteFunc(slices.Clone(s.world.Clusters), func(c string) bool { return !s.mesh.Topology.CrossesNetworks(c) })
	gather(ctx, s, FactExposed, clusters, func(ctx context.Context, m *member) Exposed { return m.exposed(ctx) },
		func(w *World, all map[string]Exposed) { w.Exposed = all })
}

// exposed asks one ready gateway replica for its SNI routes: what leads to a pod without a
// sidecar, istiod leaves out itself.
func (m *member) exposed(ctx context.Context) Exposed {
	e := Exposed{Problem: m.blind()}
	if e.Problem != "" {
		return e
	}
	routes, err := m.routes(ctx)
	if err != nil {
		e.Problem = sentence(err)
		return e
	}
	config := m.config()
	if config == nil {
		e.Problem = "there is no client for " + m.mesh.Topology.Cluster(m.name).Config
		return e
	}
	var policies securityv1.PeerAuthenticationList
	if err := config.List(ctx, &policies); err != nil {
		e.Problem = sentence(config.Explain(err, "listing PeerAuthentications"))
		return e
	}
	var pods corev1.PodList
	if err := m.client.List(ctx, &pods); err != nil {
		e.Problem = sentence(m.client.Explain(err, "listing pods"))
		return e
	}
	e.Ports, e.Open = open(routes, pods.Items, policies.Items, m.namespace)
	return e
}

// routes are the SNI routes of a ready gateway replica with their endpoints.
func (m *member) routes(ctx context.Context) ([]envoyCluster, error) {
	gateway := look(m.session, func(w *World) Gateway { return w.Gateways[m.name] })
	i := slices.IndexFunc(gateway.Replicas, func(r GatewayReplica) bool { return r.Ready })
	if i < 0 {
		return nil, fmt.Errorf("%s", or(gateway.Problem, "no replica of the east-west gateway is ready"))
	}
	page, err := m.page(ctx, topology.SystemNamespace, gateway.Replicas[i].Pod, portEnvoy, pageClusters)
	if err != nil {
		return nil, err
	}
	clusters, err := parseClusters(page)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(clusters, func(c envoyCluster) bool { return !strings.HasPrefix(c.Name, "outbound_.") }), nil
}

// open counts the ports of services behind SNI routes, those of one namespace aside, and names
// the ones with a workload that does not ask for a certificate.
func open(routes []envoyCluster, pods []corev1.Pod, policies []*securityv1.PeerAuthentication, aside string) (ports int, found []string) {
	at := map[string]*corev1.Pod{}
	for i := range pods {
		if p := &pods[i]; !p.Spec.HostNetwork && p.Status.PodIP != "" && proxied(p) {
			at[p.Status.PodIP] = p
		}
	}
	for _, route := range routes {
		looked, permissive := false, false
		for _, e := range route.Endpoints {
			pod := at[e.Address]
			if pod == nil || pod.Namespace == aside {
				continue
			}
			looked = true
			permissive = permissive || mtlsMode(policies, pod.Namespace, pod.Labels, e.Port) != securityapi.PeerAuthentication_MutualTLS_STRICT.String()
		}
		if looked {
			ports++
		}
		if permissive {
			found = append(found, spelledRoute(route.Name))
		}
	}
	slices.Sort(found)
	return ports, slices.Compact(found)
}

// spelledRoute is "web.shop:8080" of the SNI route outbound_.8080_._.web.shop.svc.cluster.local.
func spelledRoute(name string) string {
	port, host, _ := strings.Cut(strings.TrimPrefix(name, "outbound_."), "_.")
	_, host, _ = strings.Cut(host, "_.")
	name, _, _ = strings.Cut(host, ".svc.")
	return name + ":" + port
}
