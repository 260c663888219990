// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

// preferred lists the pools that a subnet is taken from, in order. They stay clear of what
// Docker (172.17 to 172.28) and podman (10.88, 10.89) give out first and of the networks that
// homes use, and no pool is needed twice on one host in practice.
func preferred() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.90.0.0/16"),
		netip.MustParsePrefix("172.30.0.0/16"),
		netip.MustParsePrefix("192.168.224.0/19"),
	}
}

// freeSubnets yields each /24 of the preferred pools that overlaps nothing in use, in a fixed
// order: the same host gives the same answer.
func freeSubnets(used []netip.Prefix) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, pool := range preferred() {
			for a := pool.Addr(); pool.Contains(a); {
				subnet := netip.PrefixFrom(a, 24)
				free := !slices.ContainsFunc(used, subnet.Overlaps)
				if free && !yield(subnet) {
					return
				}
				four := a.As4()
				next := binary.BigEndian.Uint32(four[:]) + 1<<8
				binary.BigEndian.PutUint32(four[:], next)
				a = netip.AddrFrom4(four)
			}
		}
	}
}

// usedPrefixes lists what the host already reaches or its engine has given out.
func usedPrefixes(ctx context.Context, e Engine) ([]netip.Prefix, error) {
	used, err := hostPrefixes()
	if err != nil {
		return nil, err
	}
	out, err := e.Run(ctx, "network", "ls", "--quiet")
	if err != nil {
		return nil, fmt.Errorf("listing container networks: %w", err)
	}
	for name := range strings.FieldsSeq(out) {
		out, err := e.Run(ctx, "network", "inspect", name)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at container network %s: %w", name, err)
		}
		list, err := parseNetworks([]byte(out))
		if err != nil {
			return nil, fmt.Errorf("reading container network %s: %w", name, err)
		}
		for _, n := range list {
			used = append(used, n.subnets...)
		}
	}
	return used, nil
}

// SubnetsFree refuses pod or service subnets that contain, or equal, something that this host
// reaches otherwise: an interface, a route or another container network. The nodes would reach
// their own pods instead. A wider route, such as that of a VPN, is no obstacle: the narrower one
// wins inside the nodes. The network named own is left out. It looks once and changes nothing.
func SubnetsFree(ctx context.Context, e Engine, own string, subnets []netip.Prefix) error {
	used, err := usedPrefixes(ctx, e)
	if err != nil {
		return err
	}
	mine, err := InspectNetwork(ctx, e, own)
	if err != nil && !errors.Is(err, ErrNoNetwork) {
		return err
	}
	var taken []error
	for _, subnet := range subnets {
		for _, u := range used {
			if u != mine.Subnet && subnet.Overlaps(u) && u.Bits() >= subnet.Bits() {
				taken = append(taken, diag.Hint(fmt.Errorf("subnet %s of the topology overlaps %s, which this host already uses", subnet, u),
					fmt.Sprintf("choose another podSubnet or serviceSubnet; `ip route` and `%s network ls` show what is in use", e.Name())))
				break
			}
		}
	}
	return errors.Join(taken...)
}

// hostPrefixes lists the IPv4 prefixes that the host has addresses in or routes to, default
// routes left out. Networks of other engines are among them while they are up.
func hostPrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing the addresses of this host: %w", err)
	}
	var used []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			used = append(used, p.Masked())
		}
	}
	table, err := os.ReadFile("/proc/net/route")
	if errors.Is(err, fs.ErrNotExist) {
		return used, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the routes of this host: %w", err)
	}
	return append(used, parseRoutes(string(table))...), nil
}

// parseRoutes reads /proc/net/route: addresses are 32 bits in the byte order of the machine,
// as hexadecimal numbers. Lines that are no routes are skipped.
func parseRoutes(table string) []netip.Prefix {
	var routes []netip.Prefix
	for line := range strings.Lines(table) {
		const destination, mask = 1, 7
		f := strings.Fields(line)
		if len(f) <= mask {
			continue
		}
		to, err := hex.DecodeString(f[destination])
		if err != nil || len(to) != 4 {
			continue
		}
		m, err := hex.DecodeString(f[mask])
		if err != nil || len(m) != 4 {
			continue
		}
		ones := bits.OnesCount32(binary.BigEndian.Uint32(m))
		if ones == 0 {
			continue
		}
		addr := netip.AddrFrom4([4]byte{to[3], to[2], to[1], to[0]})
		routes = append(routes, netip.PrefixFrom(addr, ones).Masked())
	}
	return routes
}
