// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/topology"
)

// cutTable is the nftables table that holds a cut, in the network namespace of each node.
const cutTable = "inet meshfed_fault"

// Cut makes the nodes of a cluster drop whatever comes from the nodes of others, and from the
// address ranges given (load-balancer addresses and pods of theirs). That is enough for both
// directions: what is sent there is never answered. This host is no such sender.
//
// The rule ends by itself after lasts, rounded up to seconds, in the kernel of the node: elements
// of an nftables set have a time-out. It needs no process, of ours or in the node, and it goes
// with a node and with its restart. Cut is idempotent; a second one counts from then.
func (p *Provider) Cut(ctx context.Context, name string, others []string, ranges []topology.AddressRange, lasts time.Duration) error {
	var sources []string
	for _, other := range others {
		list, err := p.nodes(ctx, other)
		if err != nil {
			return err
		}
		for _, c := range list {
			if addr := c.Networks[p.network]; addr.IsValid() {
				sources = append(sources, addr.String())
			}
		}
	}
	for _, r := range ranges {
		if !holdsAny(r, sources) {
			sources = append(sources, interval(r))
		}
	}
	return p.filter(ctx, name, cutScript(sources, lasts))
}

// Mend ends a cut. It is idempotent, and content where there is none.
func (p *Provider) Mend(ctx context.Context, name string) error {
	return p.filter(ctx, name, "table "+cutTable+" {}\ndelete table "+cutTable+"\n")
}

// filter has nft read a script in every node of a cluster; it takes effect as a whole or not at
// all.
func (p *Provider) filter(ctx context.Context, name, script string) error {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return err
	}
	return onEach(routers(slices.DeleteFunc(list, func(c cluster.Container) bool { return !c.Running() })), func(node string) error {
		if err := p.feed(ctx, node, script, "nft -f -"); err != nil {
			return fmt.Errorf("filtering what reaches %s: %w", node, err)
		}
		return nil
	})
}

// cutScript drops what comes from some addresses before anything else looks at it (Netfilter's
// priority of raw, -300: before connection tracking, and before kube-proxy).
func cutScript(sources []string, lasts time.Duration) string {
	seconds := max(1, int((lasts+time.Second-1)/time.Second))
	elements := make([]string, len(sources))
	for i, s := range sources {
		elements[i] = fmt.Sprintf("%s timeout %ds", s, seconds)
	}
	return fmt.Sprintf(`table %[1]s {}
delete table %[1]s
table %[1]s {
	set sources {
		type ipv4_addr
		flags interval, timeout
		elements = { %[2]s }
	}
	chain arrivals {
		type filter hook prerouting priority -300; policy accept;
		ip saddr @sources counter drop
	}
}
`, cutTable, strings.Join(elements, ", "))
}

// interval is a range as nft writes it.
func interval(r topology.AddressRange) string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.String()
}

// holdsAny says whether an address lies in a range: overlapping elements of a set are refused.
func holdsAny(r topology.AddressRange, sources []string) bool {
	return slices.ContainsFunc(sources, func(s string) bool {
		addr, err := netip.ParseAddr(s)
		return err == nil && r.First.Compare(addr) <= 0 && addr.Compare(r.Last) <= 0
	})
}
