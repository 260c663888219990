// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"net"
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
// Nodes are known by their MAC addresses too. A host whose bridges have their packets filtered
// (net.bridge.bridge-nf-call-iptables) puts its own address into those of nodes that go out of the
// network's range, as those to pods do: nothing but the frame tells who sent them.
//
// The rule ends by itself after lasts, rounded up to seconds, in the kernel of the node: elements
// of an nftables set have a time-out. It needs no process, of ours or in the node, and it goes
// with a node and with its restart. Cut is idempotent; a second one counts from then.
func (p *Provider) Cut(ctx context.Context, name string, others []string, ranges []topology.AddressRange, lasts time.Duration) error {
	ranges = slices.Clone(ranges)
	var senders []net.HardwareAddr
	for _, other := range others {
		list, err := p.nodes(ctx, other)
		if err != nil {
			return err
		}
		for _, c := range list {
			if addr := c.Networks[p.network]; addr.IsValid() {
				ranges = append(ranges, topology.AddressRange{First: addr, Last: addr})
			}
			if mac, ok := c.Hardware[p.network]; ok {
				senders = append(senders, mac)
			}
		}
	}
	return p.filter(ctx, name, cutScript(ranges, senders, lasts))
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

// cutScript drops what comes from some addresses and senders before anything else looks at it
// (Netfilter's priority of raw, -300: before connection tracking, and before kube-proxy).
func cutScript(sources []topology.AddressRange, senders []net.HardwareAddr, lasts time.Duration) string {
	ends := fmt.Sprintf(" timeout %ds", max(1, int((lasts+time.Second-1)/time.Second)))
	var ranges, macs []string
	for i, r := range sources {
		// A set refuses elements that overlap.
		if !slices.ContainsFunc(slices.Delete(slices.Clone(sources), i, i+1), func(o topology.AddressRange) bool { return holds(o, r) && o != r }) &&
			!slices.Contains(sources[:i], r) {
			ranges = append(ranges, interval(r)+ends)
		}
	}
	for _, mac := range senders {
		macs = append(macs, mac.String()+ends)
	}
	return fmt.Sprintf(`table %[1]s {}
delete table %[1]s
table %[1]s {
	set sources {
		type ipv4_addr
		flags interval, timeout
		%[2]s
	}
	set senders {
		type ether_addr
		flags timeout
		%[3]s
	}
	chain arrivals {
		type filter hook prerouting priority -300; policy accept;
		ip saddr @sources counter drop
		ether saddr @senders counter drop
	}
}
`, cutTable, elements(ranges), elements(macs))
}

// elements of an nftables set; an empty list is none that nft reads.
func elements(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "elements = { " + strings.Join(list, ", ") + " }"
}

// interval is a range as nft writes it.
func interval(r topology.AddressRange) string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.String()
}

// holds says whether all of one range lies in another.
func holds(outer, inner topology.AddressRange) bool {
	return outer.First.Compare(inner.First) <= 0 && inner.Last.Compare(outer.Last) <= 0
}
