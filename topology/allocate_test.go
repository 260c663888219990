// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rounds is how many random topologies each property is tried on.
const rounds = 100

const header = "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: demo}\n"

// topologyOf parses a topology of clusters that say nothing but their names.
func topologyOf(t *testing.T, names ...string) *Topology {
	t.Helper()
	parsed, err := Parse("test.yaml", []byte(header+"spec: {clusters: [{name: "+strings.Join(names, "}, {name: ")+"}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func randomNames(r *rand.Rand, count int) []string {
	names := make([]string, count)
	for i, n := range r.Perm(count * 5)[:count] {
		names[i] = fmt.Sprintf("c%d", n)
	}
	return names
}

// assertDisjoint fails when any pods, services or ports that must differ are the same.
func assertDisjoint(t testing.TB, loaded *Topology) {
	t.Helper()
	var seen []netip.Prefix
	ports := map[int]bool{}
	for _, c := range loaded.Spec.Clusters {
		if c.Provider.Kind == nil {
			continue // the user's own cluster says no subnets
		}
		pods, services := netip.MustParsePrefix(c.Provider.Kind.PodSubnet), netip.MustParsePrefix(c.Provider.Kind.ServiceSubnet)
		if pods.Overlaps(services) {
			t.Errorf("%s: pods %s overlap services %s", c.Name, pods, services)
		}
		if pods.Bits() != 16 || services.Bits() != 24 {
			continue // given, so it may overlap in another network
		}
		seen = append(seen, services)
		if c.Ingress != nil {
			for _, port := range []int{c.Ingress.HostPorts.HTTP, c.Ingress.HostPorts.HTTPS} {
				if port != 0 && ports[port] {
					t.Errorf("%s: port %d is published twice", c.Name, port)
				}
				ports[port] = true
			}
		}
	}
	for i := range seen {
		for j := range i {
			if seen[i].Overlaps(seen[j]) {
				t.Errorf("%s and %s overlap", seen[i], seen[j])
			}
		}
	}
}

// TestSubnetsAreDisjointAndStable: no two allocated subnets overlap each other or a given one,
// the same file gives the same, and a cluster at the end of the file moves no other.
func TestSubnetsAreDisjointAndStable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		var clusters []string
		for i, name := range randomNames(r, 1+r.IntN(12)) {
			given := ""
			switch r.IntN(4) {
			case 0:
				given = fmt.Sprintf("podSubnet: 10.%d.0.0/16", 10+2*i)
			case 1:
				given = fmt.Sprintf("serviceSubnet: 10.64.%d.0/24", i)
			}
			clusters = append(clusters, fmt.Sprintf("{name: %s, provider: {kind: {%s}}}", name, given))
		}
		text := func(n int) []byte {
			return []byte(header + "spec: {clusters: [" + strings.Join(clusters[:n], ", ") + "]}\n")
		}
		all, err := Parse("a", text(len(clusters)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var prefixes []netip.Prefix
		for _, c := range all.Spec.Clusters {
			prefixes = append(prefixes, netip.MustParsePrefix(c.Provider.Kind.PodSubnet), netip.MustParsePrefix(c.Provider.Kind.ServiceSubnet))
		}
		for i := range prefixes {
			for j := range i {
				if prefixes[i].Overlaps(prefixes[j]) {
					t.Errorf("seed %d: %s and %s overlap", seed, prefixes[i], prefixes[j])
				}
			}
		}
		again, err := Parse("a", text(len(clusters)))
		if err != nil || cmp.Diff(all.Spec, again.Spec) != "" {
			t.Errorf("seed %d: the same file gave something else: %v", seed, err)
		}
		if strings.Contains(clusters[len(clusters)-1], "ubnet") || len(clusters) == 1 {
			continue // what the last one says may well be what others got without it
		}
		fewer, err := Parse("a", text(len(clusters)-1))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(fewer.Spec.Clusters, all.Spec.Clusters[:len(clusters)-1]); diff != "" {
			t.Errorf("seed %d: a cluster at the end moved another:\n%s", seed, diff)
		}
	}
}

func TestSubnetsRunOut(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 60 {
		// More nodes than the small blocks have room for.
		names = append(names, fmt.Sprintf("{name: c%d, provider: {kind: {nodes: [{}"+strings.Repeat(", {role: worker}", 16)+"]}}}", i))
	}
	_, err := Parse("a", []byte(header+"spec: {clusters: ["+strings.Join(names, ", ")+"]}\n"))
	if err == nil || !strings.Contains(err.Error(), "spec.clusters[54].provider.kind.podSubnet: no subnet is left to allocate (write a subnet that is free") {
		t.Errorf("60 clusters gave %v", err)
	}
}

// TestAddressesAreDisjointAndStable is the contract of AllocateAddresses.
func TestAddressesAreDisjointAndStable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 2))
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(16 + r.IntN(16)), byte(r.IntN(256)), byte(r.IntN(256))}), 16+r.IntN(11)).Masked()
		names := randomNames(r, 1+r.IntN(8))
		if subnet.Bits() > 24 {
			names = names[:min(len(names), 4)]
		}
		topology := topologyOf(t, names...)
		ranges, err := topology.AllocateAddresses(subnet)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, subnet, err)
		}
		nodes := topology.NodeRange(subnet)
		for i, a := range names {
			ra, ok := ranges[a]
			if !ok {
				t.Fatalf("seed %d: no range for %s", seed, a)
			}
			if !ra.Within(subnet) || nodes.Contains(ra.First) || nodes.Contains(ra.Last) || ra.Last.Less(ra.First) || !subnet.Contains(ra.Last.Next()) {
				t.Errorf("seed %d: %s is not in the upper half of %s, or is its broadcast address", seed, ra, subnet)
			}
			if n := toNumber(ra.Last) - toNumber(ra.First) + 1; n < minSlot-1 || n > maxSlot {
				t.Errorf("seed %d: %s holds %d addresses", seed, ra, n)
			}
			for _, b := range names[:i] {
				if ra.Overlaps(ranges[b]) {
					t.Errorf("seed %d: %s %s and %s %s overlap", seed, a, ra, b, ranges[b])
				}
			}
		}
		fewer, err := topologyOf(t, names[:max(1, len(names)-1)]...).AllocateAddresses(subnet)
		if err != nil {
			t.Fatal(err)
		}
		for name, before := range fewer {
			if ranges[name] != before {
				t.Errorf("seed %d: a cluster at the end moved %s from %s to %s", seed, name, before, ranges[name])
			}
		}
	}
}

func TestAddressRangeFollowsTheName(t *testing.T) {
	t.Parallel()
	subnet := netip.MustParsePrefix("172.20.0.0/24")
	one, err := topologyOf(t, "west", "east").AllocateAddresses(subnet)
	if err != nil {
		t.Fatal(err)
	}
	other, err := topologyOf(t, "north", "east", "west").AllocateAddresses(subnet)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"west", "east"} {
		if one[cluster] != other[cluster] {
			t.Errorf("%s moved from %s to %s", cluster, one[cluster], other[cluster])
		}
	}
}

// shared is a topology of that name with the clusters west and east on a network of others.
func shared(t *testing.T, name, rest string) *Topology {
	t.Helper()
	parsed, err := Parse("a", []byte("apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: "+name+"}\nspec: {containerNetwork: kind, clusters: [{name: west"+rest+"}, {name: east}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestRangesOnASharedNetwork: they are small, far from what an engine hands out first and from
// the end, and depend on the topology's name.
func TestRangesOnASharedNetwork(t *testing.T) {
	t.Parallel()
	subnet := netip.MustParsePrefix("172.18.0.0/16")
	third := netip.MustParsePrefix("172.18.128.0/18")
	seen := map[AddressRange]int{}
	for i := range rounds {
		ranges, err := shared(t, fmt.Sprintf("mesh-%d", i), "").AllocateAddresses(subnet)
		if err != nil {
			t.Fatal(err)
		}
		if ranges["west"].Overlaps(ranges["east"]) {
			t.Errorf("%s and %s overlap", ranges["west"], ranges["east"])
		}
		for cluster, r := range ranges {
			if !r.Within(third) || toNumber(r.Last)-toNumber(r.First)+1 != maxSlot {
				t.Errorf("%s has %s, want %d addresses in %s", cluster, r, maxSlot, third)
			}
			seen[r]++
		}
	}
	// 200 of 1024 ranges: some meet by chance, which up finds out; most must not.
	if len(seen) < rounds*2*8/10 {
		t.Errorf("%d topologies of two clusters want only %d different ranges", rounds, len(seen))
	}
	own, err := topologyOf(t, "west", "east").AllocateAddresses(netip.MustParsePrefix("172.20.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := own["west"].String()+" "+own["east"].String(), "172.20.154.224-172.20.154.239 172.20.163.192-172.20.163.207"; got != want {
		t.Errorf("on a network of the topology's own, live meshes would move: got %s, want %s", got, want)
	}
}

// TestGivenAddressesOnASharedNetwork may be anywhere but at its ends.
func TestGivenAddressesOnASharedNetwork(t *testing.T) {
	t.Parallel()
	for addresses, fine := range map[string]bool{
		"172.18.3.0/28": true, "172.18.255.200-172.18.255.254": true, "172.18.0.2-172.18.0.3": true,
		"172.18.0.1-172.18.0.3": false, "172.18.255.240/28": false, "172.19.0.16/28": false,
	} {
		ranges, err := shared(t, "demo", ", loadBalancer: {addresses: ["+addresses+"]}").AllocateAddresses(netip.MustParsePrefix("172.18.0.0/16"))
		if fine != (err == nil) {
			t.Errorf("%s gave %v, %v", addresses, ranges, err)
		}
		if err != nil && !strings.Contains(err.Error(), addresses+" is not inside 172.18.0.2-172.18.255.254, ") {
			t.Errorf("%s gave %v", addresses, err)
		}
	}
}

func TestAllocateAddressesRefuses(t *testing.T) {
	t.Parallel()
	given := func(addresses string) string {
		return "spec: {clusters: [{name: west, loadBalancer: {addresses: [" + addresses + "]}}, {name: east}]}\n"
	}
	plain := "spec: {clusters: [{name: a}, {name: b}, {name: c}]}\n"
	for name, test := range map[string]struct{ spec, subnet, want string }{
		"IPv6":           {plain, "fd00::/64", "too few IPv4 addresses"},
		"too small":      {plain, "172.20.0.0/29", "too few IPv4 addresses"},
		"none left":      {plain, "172.20.0.0/28", `no addresses left for the load balancer of "c"`},
		"pods":           {plain, "10.10.5.0/24", "spec.clusters[0].provider.kind.podSubnet: 10.10.0.0/16 overlaps the container network 10.10.5.0/24 (write another subnet)"},
		"services":       {plain, "10.64.0.0/16", "spec.clusters[2].provider.kind.serviceSubnet: 10.64.2.0/24 overlaps"},
		"lower half":     {given("172.20.0.10-172.20.0.20"), "172.20.0.0/24", "spec.clusters[0].loadBalancer.addresses[0]: 172.20.0.10-172.20.0.20 is not inside 172.20.0.128-172.20.0.254"},
		"broadcast":      {given("172.20.0.240/28"), "172.20.0.0/24", "is not inside"},
		"somewhere else": {given("192.168.1.1-192.168.1.9"), "172.20.0.0/24", "is not inside"},
		"all given away": {given("172.20.0.128-172.20.0.254"), "172.20.0.0/24", `no addresses left for the load balancer of "east"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topology, err := Parse("a", []byte(header+test.spec))
			if err != nil {
				t.Fatal(err)
			}
			_, err = topology.AllocateAddresses(netip.MustParsePrefix(test.subnet))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestGivenAddressesAreKept(t *testing.T) {
	t.Parallel()
	topology, err := Parse("a", []byte(header+"spec: {clusters: [{name: west, loadBalancer: {addresses: [172.20.0.200-172.20.0.220]}}, {name: east}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := topology.AllocateAddresses(netip.MustParsePrefix("172.20.0.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ranges["west"].String(); got != "172.20.0.200-172.20.0.220" {
		t.Errorf("west has %s", got)
	}
	if ranges["east"].Overlaps(ranges["west"]) {
		t.Errorf("east's %s overlaps what west was given", ranges["east"])
	}
}

func TestNodeRange(t *testing.T) {
	t.Parallel()
	for subnet, want := range map[string]string{
		"172.20.0.0/16": "172.20.0.0/17", "10.89.3.7/24": "10.89.3.0/25", "192.168.0.1/32": "192.168.0.1/32",
	} {
		if got := new(Topology).NodeRange(netip.MustParsePrefix(subnet)).String(); got != want {
			t.Errorf("NodeRange(%s) = %s, want %s", subnet, got, want)
		}
	}
}

func TestParseAddressRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"172.20.0.1-172.20.0.9": "172.20.0.1-172.20.0.9", "172.20.0.1 - 172.20.0.9": "172.20.0.1-172.20.0.9",
		"172.20.0.16/28": "172.20.0.16-172.20.0.31", "172.20.0.1-172.20.0.1": "172.20.0.1-172.20.0.1", "0.0.0.0/0": "0.0.0.0-255.255.255.255",
	} {
		got, err := ParseAddressRange(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseAddressRange(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "172.20.0.1", "172.20.0.9-172.20.0.1", "172.20.0.1/28", "fd00::1-fd00::2", "fd00::/64", "a-b", "172.20.0.0/33"} {
		if got, err := ParseAddressRange(text); err == nil {
			t.Errorf("ParseAddressRange(%q) = %s, want an error", text, got)
		}
	}
}
