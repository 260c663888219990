// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// gateway reads what the API says of the east-west gateway.
func (m *member) gateway(ctx context.Context) (Gateway, []corev1.Pod) {
	g := Gateway{Problem: m.blind()}
	if g.Problem != "" {
		return g, nil
	}
	service := &corev1.Service{}
	err := m.client.Get(ctx, types.NamespacedName{Namespace: topology.SystemNamespace, Name: topology.EastWestGateway}, service)
	if err != nil && !kube.Absent(err) {
		g.Problem = sentence(m.client.Explain(err, "reading the Service of the east-west gateway"))
		return g, nil
	}
	g.Addresses, g.Hostnames = addresses(service)
	if c := m.mesh.Topology.Cluster(m.name); c != nil && len(c.EastWest.Addresses) > 0 {
		g.Addresses = c.EastWest.Addresses
	}
	pods, err := m.client.Pods(ctx, topology.SystemNamespace, map[string]string{"istio": topology.EastWestSelector})
	if err != nil {
		g.Problem = sentence(m.client.Explain(err, "listing the east-west gateway"))
		return g, nil
	}
	// Where istiod reads them, which need not be here.
	config := m.config()
	if config == nil {
		g.Problem = "there is no client for " + m.mesh.Topology.Cluster(m.name).Config
		return g, nil
	}
	var list networkingv1.GatewayList
	if err := config.List(ctx, &list); err != nil {
		g.Problem = sentence(config.Explain(err, "listing Gateways"))
		return g, nil
	}
	selected := labels.Set{"istio": topology.EastWestSelector}
	if len(pods) > 0 {
		selected = pods[0].Labels
	}
	for _, one := range list.Items {
		if exposes(one, selected) {
			g.Exposures = append(g.Exposures, one.Namespace+"/"+one.Name)
		}
	}
	return g, pods
}

// config is the client of the cluster whose Istio objects hold for this one; nil without one.
func (m *member) config() *kube.Client {
	if c := m.mesh.Topology.Cluster(m.name); c != nil && c.Config != m.name {
		if m = m.members[c.Config]; m == nil {
			return nil
		}
	}
	return m.client
}

// addresses that a Service is reachable by from other networks.
func addresses(s *corev1.Service) (ips, hostnames []string) {
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			ips = append(ips, in.IP)
		} else if in.Hostname != "" {
			hostnames = append(hostnames, in.Hostname)
		}
	}
	return append(ips, s.Spec.ExternalIPs...), hostnames
}

// exposes says whether a Gateway passes TLS through by SNI on the port between networks, at
// pods with the given labels.
func exposes(g *networkingv1.Gateway, pod labels.Set) bool {
	if !labels.SelectorFromSet(g.Spec.GetSelector()).Matches(pod) {
		return false
	}
	return slices.ContainsFunc(g.Spec.GetServers(), func(s *networkingapi.Server) bool {
		return s.GetPort().GetNumber() == topology.PortCrossNetwork && s.GetTls().GetMode() == networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH
	})
}

// replicas asks every gateway replica's Envoy whether it can pass on what callers send.
func (m *member) replicas(ctx context.Context, pods []corev1.Pod) []GatewayReplica {
	var all []GatewayReplica
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			continue
		}
		r := GatewayReplica{Pod: pods[i].Name, Ready: kube.PodReady(&pods[i])}
		if r.Ready {
			if err := m.replica(ctx, &r); err != nil {
				r.Problem = sentence(fmt.Errorf("asking Envoy: %w", err))
			}
		}
		all = append(all, r)
	}
	return all
}

func (m *member) replica(ctx context.Context, r *GatewayReplica) error {
	page, err := m.page(ctx, topology.SystemNamespace, r.Pod, portEnvoy, pageListeners)
	if err != nil {
		return err
	}
	ports, err := parseListeners(page)
	if err != nil {
		return err
	}
	r.Listening = slices.Contains(ports, topology.PortCrossNetwork)
	if page, err = m.page(ctx, topology.SystemNamespace, r.Pod, portEnvoy, pageClusters); err != nil {
		return err
	}
	clusters, err := parseClusters(page)
	if err != nil {
		return err
	}
	var endpoints []Endpoint
	endpoints, r.Routed = endpointsOf(clusters, sni(probe.PortApp, host(m.namespace, serviceEven)))
	for _, e := range endpoints {
		if e.Healthy {
			r.Healthy++
		}
	}
	r.Passes = passed(clusters)
	return nil
}

// passed counts the names that a gateway passes on to a healthy endpoint.
func passed(clusters []envoyCluster) int {
	n := 0
	for _, c := range clusters {
		if strings.HasPrefix(c.Name, "outbound_.") && slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool { return e.Healthy }) {
			n++
		}
	}
	return n
}

// settled says whether there is nothing more to wait for: every ready replica routes, or
// none can.
func (g Gateway) settled() bool {
	if g.Problem != "" || len(g.Exposures) == 0 {
		return true
	}
	return !slices.ContainsFunc(g.Replicas, func(r GatewayReplica) bool {
		return r.Ready && (r.Problem != "" || !r.Listening || !r.Routed || r.Healthy == 0)
	})
}
