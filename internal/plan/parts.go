// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// install is what all parts of package install know.
func (m *Mesh) install() install.Mesh {
	in := install.Mesh{Topology: m.Topology, Owner: m.Owner, Charts: m.charts, Kept: m.keep}
	in.Settings.UpstreamEnvoy = m.settings().UpstreamEnvoy
	if m.recorded != nil {
		in.Settings = *m.recorded
	}
	return in
}

// caCerts is the certificate authority of a control plane, under the root of the state directory.
func (m *Mesh) caCerts(in install.Mesh) install.CACerts {
	return install.CACerts{Mesh: in, Root: m.store().Load, RootFile: m.State.PKI()}
}

// balancer is MetalLB where the file asks for it. Elsewhere one of ours goes, before gateways wait
// for the address that somebody else gives them; nil where nothing is ever written.
func (m *Mesh) balancer(c *topology.Cluster, in install.Mesh) part {
	switch {
	case c.LoadBalancer.Type == topology.LoadBalancerMetalLB:
		return metalLB{m, in}
	case m.onlyChecked(c.Name):
		return nil
	}
	return unwanted{install.MetalLB{Mesh: in}}
}

// metalLB carves the cluster's address range from the container network that really exists,
// each time it is looked at.
type metalLB struct {
	m  *Mesh
	in install.Mesh
}

func (l metalLB) part(ctx context.Context, name string) (install.MetalLB, error) {
	chart, err := l.m.metallbChart(ctx)
	if err != nil {
		return install.MetalLB{}, err
	}
	if l.m.existing(name) {
		return install.MetalLB{Mesh: l.in, Chart: chart, Addresses: l.m.Topology.Cluster(name).LoadBalancer.Addresses, IgnoreExcluded: true}, nil
	}
	_, ranges, err := l.m.addresses(ctx)
	if err != nil {
		return install.MetalLB{}, err
	}
	return install.MetalLB{Mesh: l.in, Chart: chart, Addresses: []string{ranges[name].String()}}, nil
}

func (l metalLB) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	part, err := l.part(ctx, c.Cluster)
	if err != nil {
		return graph.Change{}, err
	}
	return part.Look(ctx, c)
}

func (l metalLB) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	part, err := l.part(ctx, c.Cluster)
	if err != nil {
		return err
	}
	if change.Action == graph.Create && !l.m.Topology.OwnsNetwork() && !l.m.existing(c.Cluster) {
		if err := l.m.rangeIsFree(ctx, c); err != nil {
			return err
		}
	}
	return part.Do(ctx, c, change)
}

// addresses are the load-balancer ranges of all clusters in the container network, which is
// looked at once: it stays what it is while clusters are on it.
func (m *Mesh) addresses(ctx context.Context) (cluster.Network, map[string]topology.AddressRange, error) {
	m.mu.Lock()
	seen := m.network
	m.mu.Unlock()
	if seen == nil {
		found, err := cluster.InspectNetwork(ctx, m.Engine, m.Topology.NetworkName())
		if err != nil {
			return cluster.Network{}, nil, err
		}
		seen = &found
		m.mu.Lock()
		m.network = seen
		m.mu.Unlock()
	}
	network := *seen
	ranges, err := m.Topology.AllocateAddresses(network.Subnet)
	return network, ranges, err
}

// rangeIsFree refuses a range of a shared container network in which something answers that is
// not the cluster itself: there, nobody keeps our addresses free for us.
func (m *Mesh) rangeIsFree(ctx context.Context, c *kube.Client) error {
	name := c.Cluster
	m.mu.Lock()
	m.network = nil // what is about to be used is looked at as it is now
	m.mu.Unlock()
	network, ranges, err := m.addresses(ctx)
	if err != nil {
		return err
	}
	own, err := balanced(ctx, c)
	if err != nil {
		return err
	}
	graph.State(ctx, "looking who uses %s of container network %s", ranges[name], network.Name)
	used, err := cluster.InUse(ctx, m.Engine, network, ranges[name])
	used = slices.DeleteFunc(used, func(a netip.Addr) bool { return own[a.String()] })
	if err != nil || len(used) == 0 {
		return err
	}
	taken := slices.Collect(maps.Values(ranges))
	free, err := cluster.FreeRange(ctx, m.Engine, network, rangeSize, taken)
	hint := "write a free range of " + network.Subnet.String() + " into loadBalancer.addresses of " + name
	if err == nil {
		hint = fmt.Sprintf("write loadBalancer: {addresses: [%s]} for %s: nobody answers there", free, name)
	}
	return diag.Hint(fmt.Errorf("address %s of %s on container network %s is used by somebody else", used[0], ranges[name], network.Name), hint)
}

// balanced are the load-balancer addresses that a cluster has given to its Services: some when
// MetalLB was there before.
func balanced(ctx context.Context, c *kube.Client) (map[string]bool, error) {
	var services corev1.ServiceList
	if err := c.List(ctx, &services); err != nil {
		return nil, c.Explain(err, "listing Services")
	}
	given := map[string]bool{}
	for i := range services.Items {
		for _, ingress := range services.Items[i].Status.LoadBalancer.Ingress {
			given[ingress.IP] = true
		}
	}
	return given, nil
}

// rangeSize is how many addresses are suggested to somebody whose range is taken: two gateways
// and some Services of the user's.
const rangeSize = 16

// remoteSecret is the credential by which the first cluster of a pair reads the second.
func (m *Mesh) remoteSecret(ctx context.Context, pair topology.Pair, peer *kube.Client) (part, error) {
	if !m.Topology.Cluster(pair.From).Manage.RemoteSecrets {
		return checked{held{pair.To}, "remoteSecrets"}, nil
	}
	server, err := m.peerServer(ctx, pair.To)
	if err != nil {
		return nil, err
	}
	return between{func(c *kube.Client) work {
		return federation.RemoteSecret{
			In: c, Of: peer, Peer: pair.To, Server: server, OwnCA: m.ownCA(pair.To),
			Lifetime: time.Duration(m.Topology.Spec.Credentials.Lifetime), Labels: m.Labels(), Now: now,
		}
	}}, nil
}

// synced waits until every istiod of the first cluster has read the second.
func (m *Mesh) synced(_ context.Context, pair topology.Pair, _ *kube.Client) (part, error) {
	return between{func(c *kube.Client) work {
		return federation.Synced{In: c, Revision: m.Topology.RevisionName(), Peers: []string{pair.To},
			Foreign: !m.Topology.Cluster(pair.From).Manage.Istio}
	}}, nil
}

// between gives a part of two clusters the first one's client.
type between struct{ of func(*kube.Client) work }

func (b between) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return b.of(c).Look(ctx)
}

func (b between) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	return b.of(c).Do(ctx, change)
}
