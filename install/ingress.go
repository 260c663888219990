// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// IngressPorts are the host ports that a kind cluster publishes for its ingress gateway,
// and the node ports behind them. It is pure.
func IngressPorts(cluster *topology.Cluster) []topology.Port {
	if cluster.Ingress == nil {
		return nil
	}
	var ports []topology.Port
	if host := cluster.Ingress.HostPorts.HTTP; host != 0 {
		ports = append(ports, topology.Port{Host: host, Node: topology.IngressHTTPNodePort})
	}
	if host := cluster.Ingress.HostPorts.HTTPS; host != 0 {
		ports = append(ports, topology.Port{Host: host, Node: topology.IngressHTTPSNodePort})
	}
	return ports
}

// IngressGateway is the gateway for clients outside of the mesh. In a cluster whose
// topology entry has none, there is nothing to do.
type IngressGateway struct{ Mesh }

// Values are the gateway chart's values for a cluster that has an ingress gateway.
func (i IngressGateway) Values(cluster *topology.Cluster) map[string]any {
	var http, https int
	for _, p := range IngressPorts(cluster) {
		switch p.Node {
		case topology.IngressHTTPNodePort:
			http = p.Node
		case topology.IngressHTTPSNodePort:
			https = p.Node
		}
	}
	kind := topology.ServiceLoadBalancer
	if cluster.LoadBalancer.Type == topology.LoadBalancerNone {
		kind = "NodePort"
	}
	return overlay(i.gatewayValues(cluster, topology.IngressSelector, 1), map[string]any{
		"service": map[string]any{
			"type": kind,
			"ports": []any{
				port("status-port", topology.PortStatus, 0),
				port("http2", 80, http),
				port("https", 443, https),
			},
		},
	})
}

func (i IngressGateway) gateway(c *kube.Client) (gateway, bool, error) {
	cluster, err := i.cluster(c)
	if err != nil || cluster.Ingress == nil {
		return gateway{}, false, err
	}
	return gateway{
		Mesh: i.Mesh, name: topology.IngressGateway, values: i.Values(cluster), adopt: i.adopts(c),
		address: cluster.LoadBalancer.Type != topology.LoadBalancerNone,
	}, true, nil
}

// Look implements Part.
func (i IngressGateway) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	g, wanted, err := i.gateway(c)
	if err != nil || !wanted {
		return graph.Change{Action: graph.None}, err
	}
	return g.look(ctx, c)
}

// Do implements Part: it waits for istiod's webhook, then for the gateway to be ready and
// to have an external address.
func (i IngressGateway) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	g, wanted, err := i.gateway(c)
	if err != nil || !wanted {
		return err
	}
	return g.do(ctx, c, change)
}

// Remove implements Part.
func (i IngressGateway) Remove(ctx context.Context, c *kube.Client) error {
	return gateway{Mesh: i.Mesh, name: topology.IngressGateway}.remove(ctx, c)
}

// LookRemove says delete when a gateway of ours is there, for a topology that has none any more.
func (i IngressGateway) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return gateway{Mesh: i.Mesh, name: topology.IngressGateway}.lookRemove(ctx, c)
}
