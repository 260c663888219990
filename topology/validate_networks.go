// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// Bounds of subnets, as prefix lengths. kubeadm gives each node a /24 of the pods' subnet and
// the controller manager cuts at most 65536 of them; the API server takes at most 20 bits of
// services. The smallest services' subnet holds what we install with room for the user.
const (
	minPodBits, maxPodBits         = 8, 24
	minServiceBits, maxServiceBits = 12, 26
)

// subnet is one subnet or address range of the file.
type subnet struct {
	path, text, cluster, network string
	span                         AddressRange
}

// networks checks subnets and load balancer ranges, alone and against each other.
func (c *collector) networks(t *Topology) {
	var pods, services, addresses []subnet
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		for j, text := range cluster.LoadBalancer.Addresses {
			path := fmt.Sprintf("%s.loadBalancer.addresses[%d]", at, j)
			span, err := ParseAddressRange(text)
			if err != nil {
				c.add(path, err.Error(), "write a range such as 172.20.0.200-172.20.0.215")
				continue
			}
			addresses = append(addresses, subnet{path, text, cluster.Name, cluster.Network, span})
		}
		kind := cluster.Provider.Kind
		if kind == nil {
			continue
		}
		if s, ok := c.subnet(at+".provider.kind.podSubnet", kind.PodSubnet, minPodBits, maxPodBits); ok {
			s.cluster, s.network = cluster.Name, cluster.Network
			pods = append(pods, s)
			c.room(s, len(kind.Nodes))
		}
		if s, ok := c.subnet(at+".provider.kind.serviceSubnet", kind.ServiceSubnet, minServiceBits, maxServiceBits); ok {
			s.cluster, s.network = cluster.Name, cluster.Network
			services = append(services, s)
		}
	}
	c.overlaps(pods, services, addresses)
}

// room checks that each node gets its /24 of the pods' subnet.
func (c *collector) room(pods subnet, nodes int) {
	blocks := (toNumber(pods.span.Last) - toNumber(pods.span.First) + 1) >> (32 - maxPodBits)
	if uint64(nodes) <= blocks {
		return
	}
	bits := maxPodBits
	for 1<<(maxPodBits-bits) < nodes {
		bits--
	}
	c.add(pods.path, fmt.Sprintf("%s is too small for %d nodes, each of which takes a /%d", pods.text, nodes, maxPodBits), fmt.Sprintf("write a /%d or larger", bits))
}

// containerNetwork checks the name of a network that is joined: none that an engine makes for
// containers of no network in particular, where clusters could not find each other by name
// nor keep an address, and no word that means something else to an engine.
func (c *collector) containerNetwork(t *Topology) {
	const path, fix = "spec.containerNetwork", "write kind, or the name of another network, or remove it for one of the topology's own"
	network := t.Spec.ContainerNetwork
	switch {
	case network == "":
	case slices.Contains([]string{"bridge", "host", "none", "default", "podman", "private", "pasta", "slirp4netns"}, network):
		c.add(path, fmt.Sprintf("%q is the container engine's own, which no cluster can join", network), fix)
	case network == ownNetwork(t.Metadata.Name):
		c.add(path, fmt.Sprintf("%q is what the topology's own network is called", network), "remove it, and the network is made and removed with the topology")
	case !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`).MatchString(network):
		c.add(path, fmt.Sprintf("%q is no name of a container network", shorten(network)), "write at most 63 letters, digits, hyphens, underscores and dots, beginning with a letter or digit")
	}
}

func (c *collector) subnet(path, text string, minBits, maxBits int) (subnet, bool) {
	if text == "" {
		c.add(path, "no subnet is left to allocate", "write a subnet that is free, such as 192.168.0.0/16")
		return subnet{}, false
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !prefix.Addr().Is4():
		c.add(path, fmt.Sprintf("%q is no IPv4 CIDR", text), "write a network such as 10.10.0.0/16")
	case prefix != prefix.Masked():
		c.add(path, fmt.Sprintf("%s has host bits", text), "write "+prefix.Masked().String())
	case prefix.Bits() > maxBits:
		c.add(path, text+" is too small", fmt.Sprintf("write a /%d or larger", maxBits))
	case prefix.Bits() < minBits:
		c.add(path, text+" is too large", fmt.Sprintf("write a /%d or smaller", minBits))
	case reserved(prefix):
		c.add(path, text+" is reserved and can not be routed", "write a private network such as 10.10.0.0/16")
	default:
		return subnet{path: path, text: text, span: rangeOf(prefix)}, true
	}
	return subnet{}, false
}

// reserved says whether a network holds addresses that no pod may have: this host, loopback,
// link-local, multicast and beyond.
func reserved(p netip.Prefix) bool {
	for _, text := range []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"} {
		if netip.MustParsePrefix(text).Overlaps(p) {
			return true
		}
	}
	return false
}

func (c *collector) overlaps(pods, services, addresses []subnet) {
	for i, p := range pods {
		for _, s := range services {
			if p.cluster == s.cluster && p.span.Overlaps(s.span) {
				c.add(s.path, fmt.Sprintf("%s overlaps the cluster's pods %s", s.text, p.text), "write another subnet")
			}
		}
		for _, before := range pods[:i] {
			if p.network == before.network && p.span.Overlaps(before.span) {
				c.add(p.path, fmt.Sprintf("%s overlaps the pods %s of %q in the same network %q", p.text, before.text, before.cluster, p.network), "write another subnet")
			}
		}
	}
	for i, s := range services {
		for _, before := range services[:i] {
			if s.network == before.network && s.span.Overlaps(before.span) {
				c.warn(s.path, fmt.Sprintf("%s overlaps the services %s of %q in the same network %q", s.text, before.text, before.cluster, s.network), "write another subnet if workloads shall use cluster IPs across clusters")
			}
		}
	}
	for i, a := range addresses {
		for _, other := range append(append(append([]subnet{}, addresses[:i]...), pods...), services...) {
			if a.span.Overlaps(other.span) {
				c.add(a.path, fmt.Sprintf("%s overlaps %s in %s", a.text, other.text, other.path), "write another range")
			}
		}
	}
}

// ports checks that each port of the host is published once.
func (c *collector) ports(t *Topology) {
	host := map[int]string{}
	publish := func(path string, port int) {
		c.number(path, port, 1, 65535)
		if before, ok := host[port]; ok {
			c.add(path, fmt.Sprintf("the host's port %d is taken by %s", port, before), "write another port")
			return
		}
		host[port] = path
	}
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		node := map[int]string{}
		if in := cluster.Ingress; in != nil {
			if in.HostPorts == (HostPorts{}) && cluster.Provider.Kind != nil {
				c.add(at+".ingress.hostPorts", "no port is left to allocate", "write http: with a free port")
			}
			if in.HostPorts.HTTP != 0 {
				publish(at+".ingress.hostPorts.http", in.HostPorts.HTTP)
				node[IngressHTTPNodePort] = at + ".ingress.hostPorts.http"
			}
			if in.HostPorts.HTTPS != 0 {
				publish(at+".ingress.hostPorts.https", in.HostPorts.HTTPS)
				node[IngressHTTPSNodePort] = at + ".ingress.hostPorts.https"
			}
		}
		if cluster.Provider.Kind == nil {
			continue
		}
		for j, p := range cluster.Provider.Kind.Ports {
			path := fmt.Sprintf("%s.provider.kind.ports[%d]", at, j)
			publish(path+".host", p.Host)
			c.number(path+".node", p.Node, 30000, 32767)
			if before, ok := node[p.Node]; ok {
				c.add(path+".node", fmt.Sprintf("the node's port %d is published by %s", p.Node, before), "write another port")
			}
			node[p.Node] = path + ".node"
		}
	}
}
