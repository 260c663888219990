// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// EastWestGateway is the gateway for the other networks, and for clusters that this one's istiod
// serves. For a cluster that needs none there is nothing to do: see topology.HasEastWestGateway.
type EastWestGateway struct{ Mesh }

// Values are the gateway chart's values for a cluster, with its eastWest.values last.
//
// The chart's own networkGateway value is not used: it opens all ports. Here each is open only
// where it is needed: 15443 for services that another network reaches, 15012 and 15017 for
// clusters without an istiod of their own.
func (e EastWestGateway) Values(cluster *topology.Cluster) map[string]any {
	ports := []any{port("status-port", topology.PortStatus, 0)}
	labels := map[string]any{"app": topology.EastWestGateway}
	if e.Topology.CrossesNetworks(cluster.Name) {
		ports = append(ports, port("tls", topology.PortCrossNetwork, 0))
		if len(cluster.EastWest.Addresses) == 0 {
			// On the Service it tells istiod that this is the way into the network. Where peers use
			// other addresses than the Service's, they are told in another way: see meshNetworks.
			labels[topology.LabelNetwork] = cluster.Network
		}
	}
	if e.Topology.ServesThroughGateway(cluster.Name) {
		labels[topology.LabelServesIstiod] = "true"
		ports = append(ports, port("tls-istiod", topology.PortXDS, 0), port("tls-webhook", topology.PortWebhook, 0))
	}
	service := map[string]any{"type": cluster.EastWest.Service.Type, "ports": ports}
	if annotations := cluster.EastWest.Service.Annotations; len(annotations) > 0 {
		all := map[string]any{}
		for key, value := range annotations {
			all[key] = value
		}
		service["annotations"] = all
	}
	return overlay(e.gatewayValues(cluster, topology.EastWestSelector, cluster.EastWest.Replicas), map[string]any{
		"labels": labels,
		"env": map[string]any{
			// The router mode adds SNI clusters for all services of the network; the
			// requested view limits endpoints to that network.
			"ISTIO_META_ROUTER_MODE":            "sni-dnat",
			"ISTIO_META_REQUESTED_NETWORK_VIEW": cluster.Network,
		},
		"service": service,
	}, cluster.EastWest.Values)
}

func (e EastWestGateway) gateway(c *kube.Client) (gateway, bool, error) {
	cluster, err := e.cluster(c)
	if err != nil || !e.Topology.HasEastWestGateway(cluster.Name) {
		return gateway{}, false, err
	}
	return gateway{
		Mesh: e.Mesh, name: topology.EastWestGateway, values: e.Values(cluster), adopt: e.adopts(c),
		address: cluster.EastWest.Service.Type == topology.ServiceLoadBalancer && cluster.LoadBalancer.Type != topology.LoadBalancerNone,
	}, true, nil
}

// Look implements Part.
func (e EastWestGateway) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	g, wanted, err := e.gateway(c)
	if err != nil || !wanted {
		return graph.Change{Action: graph.None}, err
	}
	return g.look(ctx, c)
}

// Do implements Part, as IngressGateway does.
func (e EastWestGateway) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	g, wanted, err := e.gateway(c)
	if err != nil || !wanted {
		return err
	}
	return g.do(ctx, c, change)
}

// Remove implements Part.
func (e EastWestGateway) Remove(ctx context.Context, c *kube.Client) error {
	return gateway{Mesh: e.Mesh, name: topology.EastWestGateway}.remove(ctx, c)
}

// LookRemove says delete when a gateway of ours is there, for a topology that has none any more.
func (e EastWestGateway) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return gateway{Mesh: e.Mesh, name: topology.EastWestGateway}.lookRemove(ctx, c)
}
