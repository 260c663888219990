// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

const (
	// probeMost and probeTime bound a look at a range.
	probeMost = 256
	probeTime = 2 * time.Second
	// suggestions is how many ranges are looked at to find a free one.
	suggestions = 3
)

// InUse lists the addresses of the range that somebody on the network answers for, in order: its
// gateway, containers, and on a network of this host whoever answers when asked for the address
// (ARP), such as the load balancers of other clusters. At most the first 256 addresses are asked
// for, within 3 s; on a remote engine's network only containers are known. It changes nothing.
func InUse(ctx context.Context, e Engine, n Network, r topology.AddressRange) ([]netip.Addr, error) {
	given, err := givenAddresses(ctx, e, n)
	if err != nil {
		return nil, err
	}
	return answering(ctx, n, r, given)
}

// givenAddresses lists what the engine itself knows to be taken on the network.
func givenAddresses(ctx context.Context, e Engine, n Network) ([]netip.Addr, error) {
	list, err := Containers(ctx, e, "network="+n.Name)
	if err != nil {
		return nil, err
	}
	given := []netip.Addr{n.Gateway}
	for _, c := range list {
		given = append(given, c.Networks[n.Name])
	}
	return given, nil
}

// answering lists what of the range is given, and what else answers.
func answering(ctx context.Context, n Network, r topology.AddressRange, given []netip.Addr) ([]netip.Addr, error) {
	var used, ask []netip.Addr
	for a, i := r.First, 0; a.IsValid() && a.Compare(r.Last) <= 0; a, i = a.Next(), i+1 {
		switch {
		case slices.Contains(given, a):
			used = append(used, a)
		case i < probeMost:
			ask = append(ask, a)
		}
	}
	link, err := localLink(n)
	if err != nil {
		return nil, err
	}
	if link != nil && len(ask) > 0 {
		answered, err := probe(ctx, link, n.Gateway, ask)
		if errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("asking who uses addresses of container network %s: %w", n.Name, err)
		}
		used = append(used, answered...)
	}
	slices.SortFunc(used, netip.Addr.Compare)
	return used, ctx.Err()
}

// localLink is the interface of this host that is the network's gateway; nil when there is none.
func localLink(n Network) (*net.Interface, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces of this host: %w", err)
	}
	for _, link := range links {
		addrs, err := link.Addrs()
		if err != nil {
			// It has gone since it was listed.
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == n.Gateway && p.Masked() == n.Subnet {
				return &link, nil
			}
		}
	}
	return nil, nil
}

// FreeRange finds size addresses in a row that nobody uses, to suggest in an error: at the far
// end of the network's subnet, where engines come last, clear of what is to be avoided.
func FreeRange(ctx context.Context, e Engine, n Network, size int, avoid []topology.AddressRange) (topology.AddressRange, error) {
	given, err := givenAddresses(ctx, e, n)
	if err != nil {
		return topology.AddressRange{}, err
	}
	for r := range candidates(n, size, given, avoid) {
		used, err := answering(ctx, n, r, given)
		if err != nil {
			return topology.AddressRange{}, err
		}
		if len(used) == 0 {
			return r, nil
		}
	}
	return topology.AddressRange{}, diag.Hint(fmt.Errorf("no %d addresses in a row were found that are free on container network %s, %s", size, n.Name, n.Subnet),
		"choose a range yourself in spec.clusters[].loadBalancer.addresses, or leave spec.containerNetwork out: the topology then gets a network of its own")
}

// candidates yields a few ranges from the end of the subnet downwards that touch neither what
// is given nor what is to be avoided.
func candidates(n Network, size int, given []netip.Addr, avoid []topology.AddressRange) func(func(topology.AddressRange) bool) {
	return func(yield func(topology.AddressRange) bool) {
		whole, err := topology.ParseAddressRange(n.Subnet.String())
		if err != nil || size <= 0 || size > probeMost {
			return
		}
		given, avoid := append(slices.Clone(given), whole.First), slices.Clone(avoid)
		left := suggestions
		// Not the broadcast address.
		for last := whole.Last.Prev(); left > 0; {
			first := last
			for i := 1; i < size && first.IsValid(); i++ {
				first = first.Prev()
			}
			if !first.IsValid() || first.Compare(whole.First) <= 0 {
				return
			}
			r := topology.AddressRange{First: first, Last: last}
			if next, ok := obstacle(r, given, avoid); ok {
				last = next.Prev()
				continue
			}
			left--
			if !yield(r) {
				return
			}
			last = first.Prev()
		}
	}
}

// obstacle is the first address of something that the range touches.
func obstacle(r topology.AddressRange, given []netip.Addr, avoid []topology.AddressRange) (netip.Addr, bool) {
	for _, a := range avoid {
		if r.Overlaps(a) {
			return a.First, true
		}
	}
	for _, a := range given {
		if a.IsValid() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 {
			return a, true
		}
	}
	return netip.Addr{}, false
}
