// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
)

// Bounds of one cluster's load balancer range, in addresses: the two gateways need two, the
// rest is for the user's own Services.
const (
	minSlot = 4
	maxSlot = 16
	// slots is what the upper half is divided into, unless that makes them too small or large.
	slots = 16
)

// NodeRange is the lower half of the container network's subnet: what the engine may give to
// nodes. The upper half is the load balancers', see AllocateAddresses.
func (t *Topology) NodeRange(subnet netip.Prefix) netip.Prefix {
	subnet = subnet.Masked()
	if subnet.IsSingleIP() {
		return subnet
	}
	return netip.PrefixFrom(subnet.Addr(), subnet.Bits()+1)
}

// AllocateAddresses gives every cluster with MetalLB a range of load balancer addresses in the
// upper half of the container network's subnet. It is a pure function of the file and the
// subnet. Ranges are disjoint. A cluster's range follows from its name, and who comes first in
// the file wins when two names want the same one, so a cluster appended to the file moves no
// other. What the file says in loadBalancer.addresses is taken as it is; after that, what a live
// cluster has (ApplyRecorded) stays as long as it lies where ranges may lie.
//
// On a network that is shared (spec.containerNetwork) a range follows from the topology's name
// too, so that two topologies with clusters of the same names seldom want the same one; whether
// somebody has its addresses is to be looked at before they are used. In a /16, as Docker's
// networks have, ranges lie in the third quarter: engines hand out the first addresses first,
// and the last ones are what instructions for MetalLB on kind tell people to use.
//
// The error is Problems: too small a subnet, one that is not IPv4, one that overlaps a
// cluster's subnets, or given addresses that are not in the upper half (of a shared network:
// not in it, or its first, which is the gateway's).
func (t *Topology) AllocateAddresses(subnet netip.Prefix) (map[string]AddressRange, error) {
	if !subnet.IsValid() || !subnet.Addr().Is4() || subnet.Bits() > 28 {
		return nil, Problems{t.problem("spec.containerNetwork", fmt.Sprintf("the subnet %s of the container network holds too few IPv4 addresses", subnet),
			"use a network with an IPv4 subnet of at least 16 addresses, better a /24")}
	}
	subnet = subnet.Masked()
	if problems := t.overlaps(subnet); len(problems) > 0 {
		return nil, problems
	}
	result, problems := t.given(subnet)
	if len(problems) > 0 {
		return nil, problems
	}
	taken, problems := t.live(subnet, result)
	if len(problems) > 0 {
		return nil, problems
	}
	free := freeSlots(subnet, taken)
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		if _, has := result[c.Name]; has || c.LoadBalancer.Type != LoadBalancerMetalLB {
			continue
		}
		slot, ok := free.take(t.slotKey(c.Name))
		if !ok {
			return nil, Problems{t.problem(fmt.Sprintf("spec.clusters[%d].loadBalancer.addresses", i),
				fmt.Sprintf("the container network %s has no addresses left for the load balancer of %q", subnet, c.Name),
				"use a larger network, or fewer clusters")}
		}
		result[c.Name] = slot
	}
	return result, nil
}

// slotKey is what a cluster's range follows from.
func (t *Topology) slotKey(cluster string) string {
	if t.OwnsNetwork() {
		return cluster // as it always was: a mesh that lives does not move
	}
	return t.Metadata.Name + "/" + cluster
}

// upperHalf is what NodeRange leaves, without the broadcast address.
func upperHalf(subnet netip.Prefix) AddressRange {
	all := rangeOf(subnet)
	half := (toNumber(all.Last) - toNumber(all.First) + 1) / 2
	return AddressRange{First: fromNumber(toNumber(all.First) + half), Last: fromNumber(toNumber(all.Last) - 1)}
}

// overlaps tells which clusters' pods or services live where the container network does.
func (t *Topology) overlaps(subnet netip.Prefix) Problems {
	var problems Problems
	for i := range t.Spec.Clusters {
		kind := t.Spec.Clusters[i].Provider.Kind
		if kind == nil {
			continue
		}
		for _, s := range []subnetField{{"podSubnet", kind.PodSubnet}, {"serviceSubnet", kind.ServiceSubnet}} {
			if p, err := netip.ParsePrefix(s.text); err == nil && p.Overlaps(subnet) {
				problems = append(problems, t.problem(fmt.Sprintf("spec.clusters[%d].provider.kind.%s", i, s.field),
					fmt.Sprintf("%s overlaps the container network %s", s.text, subnet), "write another subnet"))
			}
		}
	}
	return problems
}

type subnetField struct{ field, text string }

// mayLie is where ranges may lie, and what that is.
func (t *Topology) mayLie(subnet netip.Prefix) (within AddressRange, what string) {
	within = upperHalf(subnet)
	if t.OwnsNetwork() {
		return within, "the upper half of the container network " + subnet.String()
	}
	// Its owner gives addresses as he likes: who writes a range here knows which are free.
	within.First = fromNumber(toNumber(subnet.Addr()) + 2)
	return within, "what the container network " + subnet.String() + " has for others than its gateway"
}

// live adds to the given ranges those that clusters have already. The second map holds them
// all, of clusters that the file no longer has too.
func (t *Topology) live(subnet netip.Prefix, result map[string]AddressRange) (taken map[string]AddressRange, problems Problems) {
	within, _ := t.mayLie(subnet)
	taken = maps.Clone(result)
	for _, name := range slices.Sorted(maps.Keys(t.recorded)) {
		r, err := ParseAddressRange(t.recorded[name].Addresses)
		_, said := result[name]
		if err != nil || said || r.First.Less(within.First) || within.Last.Less(r.Last) {
			continue
		}
		free := true
		for i, other := range t.Names() {
			if given, ok := taken[other]; ok && given.Overlaps(r) {
				free = false
				problems = append(problems, t.problem(fmt.Sprintf("spec.clusters[%d].loadBalancer.addresses", i),
					fmt.Sprintf("%s overlaps %s, which the load balancer of the live cluster %q has", given, r, name), "write another range"))
			}
		}
		if !free {
			continue
		}
		taken[name] = r
		if c := t.Cluster(name); c != nil && c.LoadBalancer.Type == LoadBalancerMetalLB {
			result[name] = r
		}
	}
	return taken, problems
}

// given are the ranges that the file says.
func (t *Topology) given(subnet netip.Prefix) (map[string]AddressRange, Problems) {
	result := map[string]AddressRange{}
	within, what := t.mayLie(subnet)
	var problems Problems
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		if c.LoadBalancer.Type != LoadBalancerMetalLB || len(c.LoadBalancer.Addresses) == 0 {
			continue
		}
		r, err := ParseAddressRange(c.LoadBalancer.Addresses[0])
		if err == nil && c.IsExisting() {
			result[c.Name] = r // whoever has the cluster knows its network
			continue
		}
		if err != nil || r.First.Less(within.First) || within.Last.Less(r.Last) {
			problems = append(problems, t.problem(fmt.Sprintf("spec.clusters[%d].loadBalancer.addresses[0]", i),
				fmt.Sprintf("%s is not inside %s, %s", c.LoadBalancer.Addresses[0], within, what),
				"write a range inside it, or remove addresses"))
			continue
		}
		result[c.Name] = r
	}
	return result, problems
}

// slotTable is the upper half in equal parts; taken ones are marked.
type slotTable struct {
	ranges []AddressRange
	taken  []bool
}

func freeSlots(subnet netip.Prefix, given map[string]AddressRange) *slotTable {
	upper := upperHalf(subnet)
	first, count := toNumber(upper.First), toNumber(upper.Last)-toNumber(upper.First)+2
	size := min(max(count/slots, minSlot), maxSlot)
	// More than 1024 clusters share no host; the bound keeps the table small for a /8 and the
	// end of a /16 free.
	table := &slotTable{}
	for i := uint64(0); i < min(count/size, 1024); i++ {
		r := AddressRange{First: fromNumber(first + i*size), Last: fromNumber(first + (i+1)*size - 1)}
		if upper.Last.Less(r.Last) {
			r.Last = upper.Last
		}
		taken := false
		for _, g := range given {
			taken = taken || g.Overlaps(r)
		}
		table.ranges, table.taken = append(table.ranges, r), append(table.taken, taken)
	}
	return table
}

// take finds the slot that the name leads to, or the next free one after it.
func (s *slotTable) take(name string) (AddressRange, bool) {
	h := fnv.New32a()
	h.Write([]byte(name))
	start := int(h.Sum32() % uint32(len(s.ranges)))
	for i := range s.ranges {
		if slot := (start + i) % len(s.ranges); !s.taken[slot] {
			s.taken[slot] = true
			return s.ranges[slot], true
		}
	}
	return AddressRange{}, false
}
