// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import "net/netip"

// Where subnets and ports are taken from when the file does not say. Container engines take
// their own networks from 172.16.0.0/12 and from 10.88.0.0 on, so both are left alone.
const (
	firstPodBlock, lastPodBlock         = 10, 63 // 10.10.0.0/16 to 10.63.0.0/16
	firstSmallBlock, lastSmallBlock     = 0, 9   // 10.0.0.0/20 to 10.9.240.0/20, when those are given out
	smallBits                           = 20     // room for 16 nodes
	firstServiceBlock, lastServiceBlock = 64, 87 // 10.64.0.0/24 to 10.87.255.0/24
	firstHostPort, lastHostPort         = 30000, 32767
)

// allocate fills subnets that are empty, in file order, with the first block that nothing in
// the file overlaps, and gives the HTTP port to an ingress that says no port. A cluster that
// is appended to the file moves no other. What can not be filled stays empty; validate tells.
//
// Nothing here depends on the topology's name, and two topologies on one host get the same
// subnets. That is fine: pods and services are routed inside a cluster's own nodes only, each
// of which is a container with a routing table of its own, and between clusters of different
// networks there are gateways. What would collide does not: an allocated host port is any that
// is free, containers and contexts begin with the topology's name, each topology has its own
// container network, and on one that is shared see AllocateAddresses.
//
// Reserved is what clusters have that are not in the file.
func allocate(t *Topology, reserved ...Allocation) {
	var used []AddressRange
	ports := map[int]bool{}
	for _, a := range reserved {
		ports[a.HTTPPort] = true
		for _, text := range []string{a.PodSubnet, a.ServiceSubnet} {
			if p, err := netip.ParsePrefix(text); err == nil {
				used = append(used, rangeOf(p))
			}
		}
	}
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		for _, text := range c.LoadBalancer.Addresses {
			if r, err := ParseAddressRange(text); err == nil {
				used = append(used, r)
			}
		}
		if kind := c.Provider.Kind; kind != nil {
			for _, text := range []string{kind.PodSubnet, kind.ServiceSubnet} {
				// What is too large is refused; it shall not seem to leave nothing for others.
				if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() && p.Bits() > minPodBits {
					used = append(used, rangeOf(p))
				}
			}
			for _, p := range kind.Ports {
				ports[p.Host] = true
			}
		}
		if c.Ingress != nil {
			ports[c.Ingress.HostPorts.HTTP], ports[c.Ingress.HostPorts.HTTPS] = true, true
		}
	}
	pods, services := blocks(firstPodBlock, lastPodBlock, 16), blocks(firstServiceBlock, lastServiceBlock, 24)
	small := blocks(firstSmallBlock, lastSmallBlock, smallBits)
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		if kind := c.Provider.Kind; kind != nil {
			if kind.PodSubnet == "" {
				kind.PodSubnet, used = pods.firstFree(used)
			}
			if kind.PodSubnet == "" && len(kind.Nodes) <= 1<<(maxPodBits-smallBits) {
				kind.PodSubnet, used = small.firstFree(used)
			}
			if kind.ServiceSubnet == "" {
				kind.ServiceSubnet, used = services.firstFree(used)
			}
		}
		if c.Ingress != nil && c.Provider.Kind != nil && c.Ingress.HostPorts == (HostPorts{}) {
			port := firstPort(ports)
			c.Ingress.HostPorts = HostPorts{HTTP: port, Any: port != 0}
		}
	}
}

// pool is a part of 10.0.0.0/8 that is given out in subnets of equal size.
type pool struct {
	next, end uint64
	bits      int
}

// blocks is the pool of the subnets from 10.first.0.0 to 10.last.255.255.
func blocks(first, last, bits int) *pool {
	return &pool{next: uint64(10)<<24 | uint64(first)<<16, end: uint64(10)<<24 | uint64(last+1)<<16, bits: bits}
}

// firstFree is the first subnet of the pool that overlaps nothing that is used, and the used
// ranges with it; "" when there is none. What was passed over once is not looked at again.
func (p *pool) firstFree(used []AddressRange) (string, []AddressRange) {
	for p.next < p.end {
		candidate := netip.PrefixFrom(fromNumber(p.next), p.bits)
		p.next += 1 << (32 - p.bits)
		free := true
		for _, u := range used {
			free = free && !u.Overlaps(rangeOf(candidate))
		}
		if free {
			return candidate.String(), append(used, rangeOf(candidate))
		}
	}
	return "", used
}

func firstPort(used map[int]bool) int {
	for port := firstHostPort; port <= lastHostPort; port++ {
		if !used[port] {
			used[port] = true
			return port
		}
	}
	return 0
}
