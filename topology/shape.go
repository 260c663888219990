// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import "slices"

// The shape of a mesh: who runs an istiod, whom it serves, what it reads, and which clusters
// need a gateway. Every package asks here, so that a shape is understood in one place.
//
//   - A primary runs an istiod (cluster.primary is itself). Usually it reads its own API.
//   - A remote cluster has workloads and no istiod: another cluster's serves it.
//   - An external control plane is a primary that reads the API of another cluster
//     (cluster.config): it runs an istiod and no workloads of the mesh. The cluster that it
//     reads is its config cluster, and has no istiod either.

// Pair is an ordered pair of different clusters.
type Pair struct{ From, To string }

// Pairs lists every ordered pair of different members, in file order.
func (t *Topology) Pairs() []Pair {
	var pairs []Pair
	for _, from := range t.Members() {
		for _, to := range t.Members() {
			if from != to {
				pairs = append(pairs, Pair{From: from, To: to})
			}
		}
	}
	return pairs
}

// IsPrimary says whether the cluster runs an istiod of the mesh.
func (c *Cluster) IsPrimary() bool { return c.Primary == c.Name }

// IsExternal says whether the cluster runs an istiod and no workloads of the mesh, because the
// istiod reads another cluster's API.
func (c *Cluster) IsExternal() bool { return c.IsPrimary() && c.Config != c.Name }

// IsMember says whether workloads of the mesh run in the cluster.
func (c *Cluster) IsMember() bool { return !c.IsExternal() }

// NamespacesOf lists the namespaces that the file asks for in a cluster: none where no workloads run.
func (t *Topology) NamespacesOf(cluster string) []Namespace {
	if c := t.Cluster(cluster); c == nil || !c.IsMember() {
		return nil
	}
	return t.Spec.Namespaces
}

// HoldsConfig says whether an istiod reads Istio's objects in this cluster: a primary's own
// reads them there, an external control plane's in its config cluster. Those of a remote
// cluster nobody reads.
func (c *Cluster) HoldsConfig() bool { return c.Config == c.Name }

// IsExisting says whether the cluster is the user's own: it is never made or removed.
func (c *Cluster) IsExisting() bool { return c.Provider.Kubeconfig != nil }

// Members lists the clusters in which workloads of the mesh run, in file order.
func (t *Topology) Members() []string { return t.namesOf((*Cluster).IsMember) }

// Primaries lists the clusters that run an istiod, in file order.
func (t *Topology) Primaries() []string { return t.namesOf((*Cluster).IsPrimary) }

// Served lists the clusters other than itself that a cluster's istiod serves, in file order:
// its remote clusters, and the config cluster of an external control plane.
func (t *Topology) Served(primary string) []string {
	return t.namesOf(func(c *Cluster) bool { return c.Primary == primary && c.Name != primary })
}

func (t *Topology) namesOf(is func(*Cluster) bool) []string {
	var names []string
	for i := range t.Spec.Clusters {
		if is(&t.Spec.Clusters[i]) {
			names = append(names, t.Spec.Clusters[i].Name)
		}
	}
	return names
}

// Reads lists the clusters whose istiod reads the named one's API: those that have it as a
// peer, and the external control plane of a config cluster. In file order.
func (t *Topology) Reads(cluster string) []string {
	return slices.DeleteFunc(t.Primaries(), func(primary string) bool {
		return primary == cluster || t.Cluster(primary).Config != cluster && !slices.Contains(t.Peers(primary), cluster)
	})
}

// Primary is the name of the cluster whose istiod serves the named one.
func (t *Topology) Primary(cluster string) string {
	if c := t.Cluster(cluster); c != nil {
		return c.Primary
	}
	return ""
}

// Peers lists whose API servers the cluster's istiod watches by remote secrets: of every other
// member, or what spec.discovery says. A cluster without an istiod has none, and a config
// cluster is no peer of its external control plane, which reads it anyway.
func (t *Topology) Peers(cluster string) []string {
	c := t.Cluster(cluster)
	if c == nil || !c.IsPrimary() {
		return nil
	}
	chosen, limited := t.Spec.Discovery[cluster]
	limited = limited || len(t.Spec.Discovery) > 0
	return slices.DeleteFunc(t.Members(), func(name string) bool {
		return name == cluster || name == c.Config || limited && !slices.Contains(chosen, name)
	})
}

// Knows says whether proxies of one cluster are told of services in the other: the istiod that
// serves the first reads the second.
func (t *Topology) Knows(from, to string) bool {
	c := t.Cluster(from)
	if c == nil || from == to {
		return c != nil
	}
	return c.Primary == to || c.Config == to || slices.Contains(t.Peers(c.Primary), to)
}

// Apart says whether two clusters are in different networks, so that requests between them go
// through an east-west gateway.
func (t *Topology) Apart(one, other string) bool {
	a, b := t.Cluster(one), t.Cluster(other)
	return a != nil && b != nil && a.Network != b.Network
}

// ServesThroughGateway says whether a cluster's east-west gateway leads to its istiod (15012
// and 15017): a remote cluster of another network, or of the same one, reaches it there. An
// external control plane has a Service of its own for that.
func (t *Topology) ServesThroughGateway(cluster string) bool {
	c := t.Cluster(cluster)
	return c != nil && c.IsPrimary() && !c.IsExternal() && len(t.Served(cluster)) > 0
}

// ExposesServices says whether the Gateway by which other networks reach services belongs into
// the cluster: an istiod reads it there, for a cluster that is reached so.
func (t *Topology) ExposesServices(cluster string) bool {
	c := t.Cluster(cluster)
	if c == nil || !c.HoldsConfig() {
		return false
	}
	for i := range t.Spec.Clusters {
		if member := &t.Spec.Clusters[i]; member.Config == cluster && t.CrossesNetworks(member.Name) {
			return true
		}
	}
	return false
}

// CrossesNetworks says whether the cluster's services are reached from another network.
func (t *Topology) CrossesNetworks(cluster string) bool {
	c := t.Cluster(cluster)
	return c != nil && c.IsMember() && slices.ContainsFunc(t.Members(), func(other string) bool { return t.Apart(cluster, other) })
}

// HasEastWestGateway says whether a cluster has an east-west gateway: its services are reached
// from another network, or remote clusters reach its istiod there.
func (t *Topology) HasEastWestGateway(cluster string) bool {
	return t.CrossesNetworks(cluster) || t.ServesThroughGateway(cluster)
}

// HasEastWest says whether any members are in different networks.
func (t *Topology) HasEastWest() bool {
	return slices.ContainsFunc(t.Members(), t.CrossesNetworks)
}
