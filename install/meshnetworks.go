// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"github.com/meshfed/meshfed/topology"
)

// meshNetworks are the networks whose gateways are reached at other addresses than their Services
// have (eastWest.addresses: NAT), as istiod's global.meshNetworks; nil for none. Which clusters are
// in such a network is said too, because istiod asks for it
// (https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshNetworks).
func (m Mesh) meshNetworks() map[string]any {
	networks := map[string]any{}
	for i := range m.Topology.Spec.Clusters {
		c := &m.Topology.Spec.Clusters[i]
		if len(c.EastWest.Addresses) == 0 || !m.Topology.CrossesNetworks(c.Name) {
			continue
		}
		network, _ := networks[c.Network].(map[string]any)
		if network == nil {
			network = map[string]any{"endpoints": m.registries(c.Network), "gateways": []any{}}
		}
		gateways, _ := network["gateways"].([]any)
		for _, address := range c.EastWest.Addresses {
			gateways = append(gateways, map[string]any{"address": address, "port": topology.PortCrossNetwork})
		}
		network["gateways"] = gateways
		networks[c.Network] = network
	}
	if len(networks) == 0 {
		return nil
	}
	return networks
}

// registries are the clusters of a network, as istiod calls them.
func (m Mesh) registries(network string) []any {
	var list []any
	for i := range m.Topology.Spec.Clusters {
		if c := &m.Topology.Spec.Clusters[i]; c.Network == network && c.IsMember() {
			list = append(list, map[string]any{"fromRegistry": c.Name})
		}
	}
	return list
}
