// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"

	"github.com/meshfed/meshfed/topology"
)

// Member is a cluster of the mesh as the file places it, for a drawing.
type Member struct {
	// Name of the cluster.
	Name string `json:"name"`
	// Network is Istio's network: requests to another one go through an east-west gateway.
	Network string `json:"network"`
	// Region of the cluster's nodes, where the file says one.
	Region string `json:"region,omitempty"`
	// Zone of the cluster's nodes, where the file says one.
	Zone string `json:"zone,omitempty"`
	// Primary is the cluster whose istiod serves this one; its own name when it has one itself.
	Primary string `json:"primary"`
	// Workloads says whether the cluster has proxies; an external control plane has none.
	Workloads bool `json:"workloads"`
	// EastWest says whether the cluster has an east-west gateway, for other networks.
	EastWest bool `json:"eastWest"`
	// Ingress says whether the cluster has a gateway for outside clients.
	Ingress bool `json:"ingress"`
	// Addresses of the east-west gateway, where this run looked.
	Addresses []string `json:"addresses,omitempty"`
	// Silent says why nothing could be asked of the cluster; empty when it answered.
	Silent string `json:"silent,omitempty"`
	// Knows lists the clusters of whose services this one's proxies are told.
	Knows []string `json:"knows"`
}

// placed are the clusters that were asked for and those whose istiod serves them, in file order.
func placed(t *topology.Topology, clusters []string) []Member {
	var all []Member
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		serves := slices.ContainsFunc(clusters, func(name string) bool { return t.Primary(name) == c.Name })
		if !slices.Contains(clusters, c.Name) && !serves {
			continue
		}
		m := Member{
			Name: c.Name, Network: c.Network, Region: c.Locality.Region, Zone: c.Locality.Zone, Primary: or(c.Primary, c.Name),
			Workloads: c.IsMember(), EastWest: t.HasEastWestGateway(c.Name), Ingress: c.Ingress != nil, Knows: []string{},
		}
		for _, other := range clusters {
			if m.Workloads && other != c.Name && t.Knows(c.Name, other) {
				m.Knows = append(m.Knows, other)
			}
		}
		all = append(all, m)
	}
	return all
}
