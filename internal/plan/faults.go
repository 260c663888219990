// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// wires are the networks between the clusters that this program made.
type wires struct{ m *Mesh }

var _ verify.Network = wires{}

// Wires cuts clusters off from each other for verify --disruptive, and mends that.
func (m *Mesh) Wires() verify.Network { return wires{m} }

// Unable implements verify.Network.
func (w wires) Unable(cluster string) string {
	c := w.m.Topology.Cluster(cluster)
	switch {
	case c == nil:
		return cluster + " is not in the file"
	case c.Provider.Kind == nil:
		return cluster + " was not made by this program, and a network of your own is not cut"
	case w.m.Provider == nil:
		return "no container engine is at hand by which the nodes of " + cluster + " could be reached"
	}
	return ""
}

// Cut implements verify.Network. Pods of another network arrive with the address of their node;
// answers carry the address that was asked: one of the load balancer or, in one network, a pod's.
func (w wires) Cut(ctx context.Context, cluster string, others []string, lasts time.Duration) error {
	t := w.m.Topology
	_, balanced, err := w.m.addresses(ctx)
	if err != nil {
		return err
	}
	var names []string
	var ranges []topology.AddressRange
	for _, other := range others {
		if w.Unable(other) != "" {
			continue // nobody here knows its nodes, nor what else its addresses lead to
		}
		names = append(names, t.KindName(other))
		if r, ok := balanced[other]; ok {
			ranges = append(ranges, r)
		}
		if !t.Apart(cluster, other) {
			r, err := topology.ParseAddressRange(t.Cluster(other).Provider.Kind.PodSubnet)
			if err != nil {
				return err
			}
			ranges = append(ranges, r)
		}
		for _, text := range t.Cluster(other).EastWest.Addresses {
			if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() {
				ranges = append(ranges, topology.AddressRange{First: addr, Last: addr})
			}
		}
	}
	return w.m.Provider.Cut(ctx, t.KindName(cluster), names, ranges, lasts)
}

// Mend implements verify.Network.
func (w wires) Mend(ctx context.Context, cluster string) error {
	return w.m.Provider.Mend(ctx, w.m.Topology.KindName(cluster))
}

// Reached are the selected clusters to which a connection has been made.
func (m *Mesh) Reached() []string {
	return slices.DeleteFunc(m.Selected(), func(name string) bool {
		known := m.connection(name)
		known.Lock()
		defer known.Unlock()
		return known.client == nil
	})
}

// RestoreFaults undoes what a killed `verify --disruptive` left in the named clusters and says
// what it undid: see verify.Restore. Clusters that do not exist or do not answer are left out.
// It is idempotent.
func (m *Mesh) RestoreFaults(ctx context.Context, names []string, state func(string)) ([]verify.Fault, error) {
	clients, _ := m.live(ctx, names) // a cluster that does not answer is its own step's business
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return verify.Restore(ctx, clients, m.Wires(), state)
}

// Faults are the disruptive faults that are in the journals of the clusters that were reached,
// under way or left by a run that was killed. It changes nothing. An error is about the clusters
// that could not be asked; what the others say comes with it.
func (m *Mesh) Faults(ctx context.Context) ([]verify.Fault, error) {
	clients, _ := m.live(ctx, m.Reached())
	return faults(ctx, clients)
}

func faults(ctx context.Context, clients map[string]*kube.Client) ([]verify.Fault, error) {
	var mu sync.Mutex
	var all []verify.Fault
	var errs []error
	var g errgroup.Group
	g.SetLimit(recoversAtOnce)
	for _, c := range clients {
		g.Go(func() error {
			found, err := verify.Faults(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, found...), append(errs, err)
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	slices.SortFunc(all, func(a, b verify.Fault) int {
		return slices.Compare([]string{a.Cluster, a.Object}, []string{b.Cluster, b.Object})
	})
	return all, errors.Join(errs...)
}
