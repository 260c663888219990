// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/topology"
)

// loopback is where everything that is published on the host listens.
const loopback = "127.0.0.1"

// configFor builds kind's configuration. Only what the facts ask for differs between hosts.
func configFor(s cluster.Spec, f cluster.Facts) *v1alpha4.Cluster {
	c := &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:     s.Name,
		Networking: v1alpha4.Networking{
			IPFamily: v1alpha4.IPv4Family,
			// Port 0 lets kind choose a free one and keeps it over restarts.
			APIServerAddress:  loopback,
			PodSubnet:         s.PodSubnet,
			ServiceSubnet:     s.ServiceSubnet,
			DisableDefaultCNI: s.BridgeCNI,
		},
		Nodes: nodes(s),
	}
	if f.NoSysResource {
		c.FeatureGates = map[string]bool{"KubeletInUserNamespace": true}
	}
	c.KubeadmConfigPatches = slices.Concat(hostPatches(f), labPatches(len(controlPlanes(s)) == 1))
	c.ContainerdConfigPatches = []string{statsPatch}
	for _, patch := range s.Patches {
		// What is none was refused before.
		if target, _ := topology.PatchTarget(patch); target == topology.PatchContainerd {
			c.ContainerdConfigPatches = append(c.ContainerdConfigPatches, patch)
		} else {
			c.KubeadmConfigPatches = append(c.KubeadmConfigPatches, patch)
		}
	}
	return c
}

// nodes lists kind's nodes; the published ports go to the first control plane.
func nodes(s cluster.Spec) []v1alpha4.Node {
	list := make([]v1alpha4.Node, 0, len(s.Nodes))
	for _, n := range s.Nodes {
		list = append(list, v1alpha4.Node{Role: v1alpha4.NodeRole(n.Role), Image: s.Image, Labels: n.Labels})
	}
	if len(list) == 0 {
		list = append(list, v1alpha4.Node{Role: v1alpha4.ControlPlaneRole, Image: s.Image})
	}
	first := 0
	for i := range list {
		if list[i].Role == v1alpha4.ControlPlaneRole {
			first = i
			break
		}
	}
	for _, p := range s.Ports {
		list[first].ExtraPortMappings = append(list[first].ExtraPortMappings, v1alpha4.PortMapping{
			ContainerPort: int32(p.Node), HostPort: int32(p.Host), ListenAddress: loopback, Protocol: v1alpha4.PortMappingProtocolTCP,
		})
	}
	return list
}

// nodeNames lists the container names of a spec's nodes, as kind makes them: the role, with a
// number from the second one on.
func nodeNames(s cluster.Spec) []string {
	var names []string
	count := map[v1alpha4.NodeRole]int{}
	for _, n := range nodes(s) {
		count[n.Role]++
		name := s.Name + "-" + string(n.Role)
		if count[n.Role] > 1 {
			name += fmt.Sprint(count[n.Role])
		}
		names = append(names, name)
	}
	return names
}

// controlPlanes lists the names of the control-plane nodes.
func controlPlanes(s cluster.Spec) []string {
	var names []string
	for _, name := range nodeNames(s) {
		if strings.HasPrefix(name, s.Name+"-"+string(v1alpha4.ControlPlaneRole)) {
			names = append(names, name)
		}
	}
	return names
}
