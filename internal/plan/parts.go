// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"time"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// install is what all parts of package install know.
func (m *Mesh) install() install.Mesh {
	in := install.Mesh{Topology: m.Topology, Owner: m.Owner}
	switch {
	case m.recorded != nil:
		in.Settings = *m.recorded
	case m.Bundle != nil:
		in.Settings.UpstreamEnvoy = m.Bundle.Settings.UpstreamEnvoy
	}
	return in
}

// metalLB carves the cluster's address range from the container network that really exists,
// each time it is looked at.
type metalLB struct {
	m  *Mesh
	in install.Mesh
}

func (l metalLB) part(ctx context.Context, name string) (install.MetalLB, error) {
	if l.m.Bundle == nil {
		return install.MetalLB{}, errors.New("MetalLB's chart is in the image bundle, and there is none: meshfed bundle build")
	}
	chart, err := l.m.Bundle.Chart("metallb")
	if err != nil {
		return install.MetalLB{}, err
	}
	network, err := cluster.InspectNetwork(ctx, l.m.Engine, l.m.Topology.NetworkName())
	if err != nil {
		return install.MetalLB{}, err
	}
	ranges, err := l.m.Topology.AllocateAddresses(network.Subnet)
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
	return part.Do(ctx, c, change)
}

// prune removes credentials of ours for clusters that are no peers any more. It goes by the
// whole file, not by --clusters.
func (m *Mesh) prune(name string) part {
	var readers []string
	for _, other := range m.Topology.Names() {
		if contains(m.Topology.Peers(other), name) {
			readers = append(readers, other)
		}
	}
	return between{func(c *kube.Client) work {
		return federation.Prune{In: c, Peers: m.Topology.Peers(name), Readers: readers, Labels: m.Labels()}
	}}
}

// remoteSecret is the credential by which the first cluster of a pair reads the second.
func (m *Mesh) remoteSecret(ctx context.Context, pair topology.Pair, peer *kube.Client) (part, error) {
	server := m.Topology.Cluster(pair.To).APIServer.PeerAddress
	if server == "" {
		var err error
		if server, err = m.Provider.InternalServer(ctx, m.Topology.KindName(pair.To)); err != nil {
			return nil, err
		}
	}
	return between{func(c *kube.Client) work {
		return federation.RemoteSecret{
			In: c, Of: peer, Peer: pair.To, Server: server,
			Lifetime: time.Duration(m.Topology.Spec.Credentials.Lifetime), Labels: m.Labels(), Now: now,
		}
	}}, nil
}

// synced waits until every istiod of the first cluster has read the second.
func (m *Mesh) synced(_ context.Context, pair topology.Pair, _ *kube.Client) (part, error) {
	return between{func(c *kube.Client) work { return federation.Synced{In: c, Peers: []string{pair.To}} }}, nil
}

// between gives a part of two clusters the first one's client.
type between struct{ of func(*kube.Client) work }

func (b between) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return b.of(c).Look(ctx)
}

func (b between) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	return b.of(c).Do(ctx, change)
}
