// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// listedNetwork is a network with all that it occupies.
type listedNetwork struct {
	Network
	subnets []netip.Prefix
}

// networkJSON is what network inspect writes. The names of the first three are alike but for
// case, which encoding/json does not mind; of the others each engine has its own.
type networkJSON struct {
	Name   string
	Driver string
	Labels map[string]string

	// Of podman.
	Subnets []struct {
		Subnet, Gateway string
		Lease           *struct {
			Start string `json:"start_ip"`
			End   string `json:"end_ip"`
		} `json:"lease_range"`
	}
	NamesEnabled bool `json:"dns_enabled"`

	// Of Docker.
	IPAM *struct {
		Config []struct{ Subnet, IPRange, Gateway string }
	}
	Options map[string]string
}

// parseNetworks reads what network inspect of either engine writes.
func parseNetworks(data []byte) ([]listedNetwork, error) {
	var raw []networkJSON
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	list := make([]listedNetwork, len(raw))
	for i, r := range raw {
		list[i].Name, list[i].Labels, list[i].DNS = r.Name, r.Labels, r.NamesEnabled
		for _, s := range r.Subnets {
			lease := topology.AddressRange{}
			if s.Lease != nil {
				lease = topology.AddressRange{First: address(s.Lease.Start), Last: address(s.Lease.End)}
			}
			list[i].add(s.Subnet, s.Gateway, lease)
		}
		if r.IPAM == nil {
			continue
		}
		// Docker's default network serves no names.
		list[i].DNS = slices.Contains([]string{"bridge", "overlay", "macvlan", "ipvlan"}, r.Driver) &&
			r.Options["com.docker.network.bridge.default_bridge"] != "true"
		for _, c := range r.IPAM.Config {
			list[i].add(c.Subnet, c.Gateway, lease(c.IPRange))
		}
	}
	return list, nil
}

// lease is what containers may get of a prefix: all but the network's own address.
func lease(text string) topology.AddressRange {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !prefix.Addr().Is4() {
		return topology.AddressRange{}
	}
	r, err := topology.ParseAddressRange(prefix.Masked().String())
	if err != nil {
		return topology.AddressRange{}
	}
	if r.First != r.Last {
		r.First = r.First.Next()
	}
	return r
}

// add adds a subnet; the first one of IPv4 is that of the network. What can not be read is not
// there.
func (n *listedNetwork) add(subnet, gateway string, lease topology.AddressRange) {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return
	}
	prefix = prefix.Masked()
	n.subnets = append(n.subnets, prefix)
	if !prefix.Addr().Is4() || n.Subnet.IsValid() {
		return
	}
	n.Subnet, n.First, n.Last, n.Gateway = prefix, lease.First, lease.Last, address(gateway)
	if !n.Gateway.IsValid() {
		// Docker does not tell which it has chosen: the first.
		n.Gateway = prefix.Addr().Next()
	}
}

// address reads an address that may have the length of its prefix behind it; invalid when it
// is none.
func address(text string) netip.Addr {
	text, _, _ = strings.Cut(text, "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// servesNames says whether the engine has what serves names on networks that ask for it:
// podman's netavark keeps that in a program of its own, which distributions only recommend.
func servesNames(e Engine) bool {
	if isDocker(e) {
		return true
	}
	for _, dir := range []string{"/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman"} {
		if !missing(dir + "/netavark") {
			return !missing(dir + "/aardvark-dns")
		}
	}
	// Another folder, another host or another backend: as the network says.
	return true
}
