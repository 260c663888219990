// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// Found is what is recognised in a running cluster: Istio, whoever installed it, whose cluster
// it is, and who gives addresses to Services. Empty fields are not known.
type Found struct {
	// Cluster is the name that it was asked under; Kubernetes the API server's version.
	Cluster, Kubernetes string
	// Topology and Owner are those of the cluster's own record, kube-system/meshfed-owner.
	Topology, Owner string
	// Controls are the istiods, the default revision first.
	Controls []FoundControl
	// Network is the label of namespace istio-system, and ServedBy its annotation: the control
	// planes elsewhere that serve the cluster, empty for its own.
	Network, ServedBy string
	// Strict says that the mesh-wide mutual TLS mode is, whoever said so.
	Strict bool
	// Ambient says that a ztunnel runs.
	Ambient bool
	// Locality is what all nodes share.
	Locality topology.Locality
	// Roots are fingerprints of what the control plane trusts, and RootFrom where they were read:
	// the secret cacerts, or what istiod gives out when it signs with a CA of its own.
	Roots    []string
	RootFrom string
	// Gateways are those for other networks and for clients outside of the mesh.
	Gateways []FoundGateway
	// Peers are the clusters that remote secrets are for.
	Peers []string
	// Webhooks that have to do with Istio, or that can keep others from making anything.
	Webhooks []Webhook
	// Definitions counts Istio's custom resource definitions.
	Definitions int
	// Balancer is what was seen of a load balancer.
	Balancer Balancer
}

// FoundControl is an istiod.
type FoundControl struct {
	// Deployment, its Namespace, and Revision ("default" for the one without) of istiod.
	Deployment, Namespace, Revision string
	// Version is Istio's, for example 1.31.0.
	Version string
	// MeshID, ClusterName, Network and TrustDomain are what it was told.
	MeshID, ClusterName, Network, TrustDomain string
	// Ready says that a replica is.
	Ready bool
	// Origin says who installed it.
	Origin Origin
}

// Origin says who an object belongs to.
type Origin struct {
	// Topology and Owner are ownership labels of this program: of the object, or of the Helm
	// release that it is in.
	Topology, Owner string
	// Release is the Helm release, as namespace/name; Tool is what else says that it owns the
	// object: Argo CD, Flux, istioctl, the Sail operator.
	Release, Tool string
}

// Ours says whether it carries the ownership labels of a topology.
func (o Origin) Ours(topology, owner string) bool {
	return owner != "" && o.Topology == topology && o.Owner == owner
}

// String names the owner in words.
func (o Origin) String() string {
	var parts []string
	if o.Topology != "" {
		parts = append(parts, "meshfed topology "+o.Topology)
	}
	if o.Tool != "" {
		parts = append(parts, o.Tool)
	}
	if o.Release != "" {
		parts = append(parts, "Helm release "+o.Release)
	}
	return cmp.Or(strings.Join(parts, ", "), "nobody who says so")
}

// FoundGateway is the Service of a gateway.
type FoundGateway struct {
	// Name and Namespace of the Service, and Network its label.
	Name, Namespace, Network string
	// Addresses and Hostnames that it has.
	Addresses, Hostnames []string
	// CrossNetwork says that it has the port between networks, 15443.
	CrossNetwork bool
	// Origin says who installed it.
	Origin Origin
}

// Webhook is a webhook configuration.
type Webhook struct {
	// Kind is MutatingWebhookConfiguration or ValidatingWebhookConfiguration.
	Kind, Name string
	// Service that is called, as namespace/name; Missing says that it is not there.
	Service string
	Missing bool
	// Istio says that it injects or validates for Istio; Blocks that what the API server can not
	// ask it about is refused, for kinds that have to be made here.
	Istio, Blocks bool
	// Origin says who installed it.
	Origin Origin
}

// Balancer is what was seen of who gives addresses to Services of type LoadBalancer.
type Balancer struct {
	// Evidence says why there is one; empty for none.
	Evidence string
	// Pending is a Service that has waited for an address for a while; empty for none.
	Pending string
	// Addresses and Hostnames count the Services that got the one or the other.
	Addresses, Hostnames int
}

// Control is the istiod of a revision; nil without one.
func (f Found) Control(revision string) *FoundControl {
	i := slices.IndexFunc(f.Controls, func(c FoundControl) bool { return c.Revision == cmp.Or(revision, topology.DefaultRevision) })
	if i < 0 {
		return nil
	}
	return &f.Controls[i]
}

// String is one line about a control plane: version, revision, mesh ID, cluster, network, owner.
func (c FoundControl) String() string {
	known := func(s string) string { return cmp.Or(s, "unknown") }
	return fmt.Sprintf("Istio %s (revision %s, mesh ID %s, cluster name %s, network %s, trust domain %s), installed by %s",
		known(c.Version), c.Revision, known(c.MeshID), known(c.ClusterName), known(c.Network), known(c.TrustDomain), c.Origin)
}
