// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/meshfed/meshfed/topology"
)

// Provider makes clusters and removes them.
type Provider interface {
	// List names the clusters that exist, whole or not, and are ours.
	List(ctx context.Context) ([]string, error)
	// Ensure makes the cluster, or what is missing of it, and blocks until its API answers.
	// It is idempotent. What was left half-made is made again; a cluster of that name that
	// is not ours is refused as ErrForeign.
	Ensure(ctx context.Context, s Spec) error
	// Delete removes the cluster and everything that was made for it on this host. Absent is
	// success; one that is not ours is refused as ErrForeign.
	Delete(ctx context.Context, name string) error
	// Kubeconfig returns a kubeconfig of the cluster's administrator whose cluster, user and
	// context are all called name. It holds a private key.
	Kubeconfig(ctx context.Context, name string, from Vantage) ([]byte, error)
	// CollectLogs writes the logs of the cluster's nodes to dir, which is made.
	CollectLogs(ctx context.Context, name, dir string) error
}

// Vantage is where a kubeconfig will be used.
type Vantage int

const (
	// FromHost is a process of this host: the API is on a loopback port.
	FromHost Vantage = iota
	// FromNetwork is a container or a pod of a cluster on the same container network: the
	// API is at the control-plane node, by its name where the network serves names.
	FromNetwork
)

// Spec is a cluster that shall exist.
type Spec struct {
	// Name is Topology.KindName of the cluster.
	Name string `json:"name"`
	// Image of the nodes.
	Image string `json:"image"`
	// PodSubnet and ServiceSubnet are IPv4 CIDRs.
	PodSubnet     string `json:"podSubnet"`
	ServiceSubnet string `json:"serviceSubnet"`
	// Nodes; none means one control-plane node that also runs workloads.
	Nodes []Node `json:"nodes,omitempty"`
	// Ports published on 127.0.0.1 of the host, by the first control-plane node.
	Ports []Port `json:"ports,omitempty"`
	// Patches are the user's: YAML for kubeadm's configuration, applied after our own, or TOML
	// for containerd's; see topology.PatchTarget.
	Patches []string `json:"patches,omitempty"`
	// Registries that the nodes pull from elsewhere than their names say.
	Registries []Registry `json:"registries,omitempty"`
	// BridgeCNI says that the node image has the bridge CNI plugin and no manifest of its
	// own: the provider then configures pod networking.
	BridgeCNI bool `json:"bridgeCNI"`
}

// Node is one node of a Spec.
type Node struct {
	// Role: control-plane or worker.
	Role string `json:"role"`
	// Labels set on the node, locality included.
	Labels map[string]string `json:"labels,omitempty"`
}

// Port is a node port published on the host.
type Port struct {
	// Host port on 127.0.0.1.
	Host int `json:"host"`
	// Node port.
	Node int `json:"node"`
	// Any says that another free host port will do: Host is where looking for one begins when
	// the cluster is made.
	Any bool `json:"any,omitempty"`
}

// Registry is a registry whose images are pulled from a server of choice.
type Registry struct {
	// Host is the registry as image names say it: docker.io, 10.90.0.1:5000.
	Host string `json:"host"`
	// Server is where it is: a URL, http:// for one without TLS; without a scheme it is spoken
	// to with TLS.
	Server string `json:"server"`
}

// SpecFor derives the spec of a kind cluster of t. The image and BridgeCNI come from the
// bundle.
func SpecFor(t *topology.Topology, c *topology.Cluster, image string, bridgeCNI bool) Spec {
	s := Spec{Name: t.KindName(c.Name), Image: image, BridgeCNI: bridgeCNI}
	nodes := []topology.Node{{Role: "control-plane"}}
	if k := c.Provider.Kind; k != nil {
		s.PodSubnet, s.ServiceSubnet, s.Patches = k.PodSubnet, k.ServiceSubnet, k.Patches
		if len(k.Nodes) > 0 {
			nodes = k.Nodes
		}
		for _, p := range k.Ports {
			s.Ports = append(s.Ports, Port{Host: p.Host, Node: p.Node})
		}
	}
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, Node{Role: n.Role, Labels: nodeLabels(n, c.Locality)})
	}
	return s
}

// nodeLabels are a node's own labels and its locality; the cluster's where it has none.
func nodeLabels(n topology.Node, cluster topology.Locality) map[string]string {
	labels := map[string]string{}
	for key, value := range n.Labels {
		labels[key] = value
	}
	where := n.Locality
	if where == (topology.Locality{}) {
		where = cluster
	}
	if where.Region != "" {
		labels[topology.LabelRegion] = where.Region
	}
	if where.Zone != "" {
		labels[topology.LabelZone] = where.Zone
	}
	return labels
}
