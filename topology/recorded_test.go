// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wish is what a random file says of one cluster; empty fields are not said.
type wish struct {
	name, pods, services string
	ingress              bool
	port                 int
	addresses            string
}

func (w wish) String() string {
	var kind, rest string
	if w.pods != "" {
		kind = "podSubnet: " + w.pods
	}
	if w.services != "" {
		kind += ", serviceSubnet: " + w.services
	}
	if w.ingress {
		rest = ", ingress: {}"
		if w.port != 0 {
			rest = fmt.Sprintf(", ingress: {hostPorts: {http: %d}}", w.port)
		}
	}
	if w.addresses != "" {
		rest += ", loadBalancer: {addresses: [" + w.addresses + "]}"
	}
	return fmt.Sprintf("{name: %s, provider: {kind: {%s}}%s}", w.name, strings.TrimPrefix(kind, ", "), rest)
}

// randomWishes never ask for the same thing twice; number counts over all that are made, so
// that wishes of later calls collide with none of before either.
func randomWishes(r *rand.Rand, count int, number *int) []wish {
	wishes := make([]wish, count)
	for i := range wishes {
		*number++
		n := *number
		w := wish{name: fmt.Sprintf("c%d", r.IntN(1000)*100+n), ingress: r.IntN(2) == 0}
		// What is asked for lies among what is allocated, so that one must make way.
		if r.IntN(4) == 0 {
			w.pods = fmt.Sprintf("10.%d.0.0/16", 63-n)
		}
		if r.IntN(4) == 0 {
			w.services = fmt.Sprintf("10.64.%d.0/24", 40-n)
		}
		if w.ingress && r.IntN(4) == 0 {
			w.port = 30040 - n
		}
		if r.IntN(5) == 0 {
			w.addresses = fmt.Sprintf("172.20.0.%d-172.20.0.%d", 250-2*n, 251-2*n)
		}
		wishes[i] = w
	}
	return wishes
}

func fileOf(t *testing.T, wishes []wish) *Topology {
	t.Helper()
	parts := make([]string, len(wishes))
	for i, w := range wishes {
		parts[i] = w.String()
	}
	parsed, err := Parse("t.yaml", []byte(header+"spec: {clusters: ["+strings.Join(parts, ", ")+"]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

var containerNetwork = netip.MustParsePrefix("172.20.0.0/24")

// allocations is what every cluster has.
func allocations(t *testing.T, of *Topology) map[string]Allocation {
	t.Helper()
	ranges, err := of.AllocateAddresses(containerNetwork)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Allocation{}
	for _, name := range of.Names() {
		all[name] = of.Allocation(name, ranges[name])
	}
	return all
}

// assertApart fails when two clusters share anything.
func assertApart(t *testing.T, seed uint64, all map[string]Allocation) {
	t.Helper()
	for a, one := range all {
		if netip.MustParsePrefix(one.PodSubnet).Overlaps(netip.MustParsePrefix(one.ServiceSubnet)) {
			t.Errorf("seed %d: %s: pods %s overlap services %s", seed, a, one.PodSubnet, one.ServiceSubnet)
		}
		for b, other := range all {
			if a == b {
				continue
			}
			if netip.MustParsePrefix(one.PodSubnet).Overlaps(netip.MustParsePrefix(other.PodSubnet)) ||
				netip.MustParsePrefix(one.ServiceSubnet).Overlaps(netip.MustParsePrefix(other.ServiceSubnet)) {
				t.Errorf("seed %d: %s has %+v and %s has %+v", seed, a, one, b, other)
			}
			if one.HTTPPort != 0 && one.HTTPPort == other.HTTPPort {
				t.Errorf("seed %d: %s and %s share port %d", seed, a, b, one.HTTPPort)
			}
			x, _ := ParseAddressRange(one.Addresses)
			y, _ := ParseAddressRange(other.Addresses)
			if x.Overlaps(y) {
				t.Errorf("seed %d: %s has %s and %s has %s", seed, a, x, b, y)
			}
		}
	}
}

// TestAllocationIsAPureFunctionOfTheFile while nothing is live: the same file gives the same,
// and nothing that is given to two clusters overlaps.
func TestAllocationIsAPureFunctionOfTheFile(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r, number := rand.New(rand.NewPCG(seed, 11)), 0
		wishes := randomWishes(r, 1+r.IntN(8), &number)
		all := allocations(t, fileOf(t, wishes))
		assertApart(t, seed, all)
		if diff := cmp.Diff(all, allocations(t, fileOf(t, wishes))); diff != "" {
			t.Errorf("seed %d: the same file gave something else:\n%s", seed, diff)
		}
	}
}

// TestAClusterAtTheEndMovesNoOther while nothing is live, as long as it asks for nothing itself.
func TestAClusterAtTheEndMovesNoOther(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r, number := rand.New(rand.NewPCG(seed, 12)), 0
		wishes := randomWishes(r, 1+r.IntN(8), &number)
		before := allocations(t, fileOf(t, wishes))
		after := allocations(t, fileOf(t, append(wishes, wish{name: "last", ingress: true})))
		delete(after, "last")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("seed %d: a cluster at the end moved another:\n%s", seed, diff)
		}
	}
}

// TestRecordedValuesWin: however clusters are added, removed and ordered anew, and whatever
// lines that said what is so are dropped or written, no live cluster moves, and the new ones
// get what nobody has.
func TestRecordedValuesWin(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r, number := rand.New(rand.NewPCG(seed, 13)), 0
		wishes := randomWishes(r, 2+r.IntN(5), &number)
		live := allocations(t, fileOf(t, wishes))

		var next []wish
		for _, w := range wishes {
			switch r.IntN(4) {
			case 0: // dropped from the file, and lives on
				continue
			case 1: // pinned
				w.pods, w.services, w.addresses = live[w.name].PodSubnet, live[w.name].ServiceSubnet, live[w.name].Addresses
				w.port = live[w.name].HTTPPort
			case 2: // said no more
				w.pods, w.services, w.addresses, w.port = "", "", "", 0
			}
			next = append(next, w)
		}
		// What new ones ask for is free, as the file that says it would be refused otherwise.
		fresh := randomWishes(r, 1+r.IntN(3), &number)
		for i := range fresh {
			fresh[i].pods, fresh[i].services, fresh[i].port, fresh[i].addresses = "", "", 0, ""
		}
		next = append(next, fresh...)
		r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })

		changed := fileOf(t, next)
		if err := changed.ApplyRecorded(live); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := allocations(t, changed)
		for name, had := range live {
			has, ok := got[name]
			if !ok {
				got[name] = had // still there
			} else if diff := cmp.Diff(had, has); diff != "" {
				t.Errorf("seed %d: the live cluster %s moved:\n%s", seed, name, diff)
			}
		}
		assertApart(t, seed, got)

		again := fileOf(t, next)
		for range 2 {
			if err := again.ApplyRecorded(live); err != nil {
				t.Fatalf("seed %d: again: %v", seed, err)
			}
		}
		if diff := cmp.Diff(changed.Spec, again.Spec); diff != "" {
			t.Errorf("seed %d: a second time changed:\n%s", seed, diff)
		}
	}
}

// TestMovingALiveClusterIsRefused: whatever the file says that a live cluster does not have is
// told at that line, with the line to write; with that line written, the file is accepted.
func TestMovingALiveClusterIsRefused(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds) {
		r, number := rand.New(rand.NewPCG(seed, 14)), 0
		wishes := randomWishes(r, 2+r.IntN(4), &number)
		live := allocations(t, fileOf(t, wishes))
		i := r.IntN(len(wishes))
		moved, path, want, pinned := wishes[i], "", "", live[wishes[i].name]
		switch r.IntN(3) {
		case 0:
			moved.pods, path = "10.9.0.0/16", "provider.kind.podSubnet"
			want = "podSubnet: " + pinned.PodSubnet
		case 1:
			moved.services, path = "10.99.0.0/24", "provider.kind.serviceSubnet"
			want = "serviceSubnet: " + pinned.ServiceSubnet
		case 2:
			if !moved.ingress {
				continue
			}
			moved.port, path = 31111, "ingress.hostPorts.http"
			want = fmt.Sprintf("http: %d", pinned.HTTPPort)
		}
		next := slices.Clone(wishes)
		next[i] = moved
		changed := fileOf(t, next)
		before := allocations(t, changed)
		err := changed.ApplyRecorded(live)
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Fatalf("seed %d: moving %s gave %v", seed, path, err)
		}
		checkProblems(t, "t.yaml", problems)
		if p := problems[0]; p.Path != fmt.Sprintf("spec.clusters[%d].%s", i, path) || !strings.Contains(p.Fix, "write "+want+" to keep it") || !strings.Contains(p.Message, fmt.Sprintf("the live cluster %q", moved.name)) {
			t.Errorf("seed %d: %s, want the line %q", seed, p, want)
		}
		if diff := cmp.Diff(before, allocations(t, changed)); diff != "" {
			t.Errorf("seed %d: what was refused changed the topology:\n%s", seed, diff)
		}
		next[i].pods, next[i].services, next[i].port = pinned.PodSubnet, pinned.ServiceSubnet, pinned.HTTPPort
		if err := fileOf(t, next).ApplyRecorded(live); err != nil {
			t.Errorf("seed %d: with the line that was asked for: %v", seed, err)
		}
	}
}

// TestRecordsRefuse are the messages, word for word.
func TestRecordsRefuse(t *testing.T) {
	t.Parallel()
	west := Allocation{PodSubnet: "10.10.0.0/16", ServiceSubnet: "10.64.0.0/24", Addresses: "172.20.0.132-172.20.0.135", HTTPPort: 30000}
	for name, test := range map[string]struct {
		clusters string
		recorded map[string]Allocation
		want     string
	}{
		"pods of another in the same network": {
			"{name: north, network: blue, provider: {kind: {podSubnet: 10.10.0.0/16}}}, {name: west, network: blue}", map[string]Allocation{"west": west},
			`t.yaml:4:77: spec.clusters[0].provider.kind.podSubnet: 10.10.0.0/16 overlaps 10.10.0.0/16, which the pods of the live cluster "west" have in the same network "blue" (write another subnet)`,
		},
		"the port of another": {
			"{name: north, ingress: {hostPorts: {https: 30000}}}, {name: west, ingress: {}}", map[string]Allocation{"west": west},
			`t.yaml:4:62: spec.clusters[0].ingress.hostPorts.https: the host's port 30000 leads to the ingress of the live cluster "west" (write another port)`,
		},
		"the port of one that was dropped": {
			"{name: north, provider: {kind: {ports: [{host: 30000, node: 30001}]}}}", map[string]Allocation{"west": west},
			`t.yaml:4:66: spec.clusters[0].provider.kind.ports[0].host: the host's port 30000 leads to the ingress of the live cluster "west" (write another port)`,
		},
		"no HTTP port any more": {
			"{name: west, ingress: {hostPorts: {https: 443}}}", map[string]Allocation{"west": west},
			`t.yaml:4:53: spec.clusters[0].ingress.hostPorts.http: publishing no HTTP port would move the live cluster "west", whose ingress has port 30000 of the host (write http: 30000 to keep it where it is, or make the cluster anew)`,
		},
		"both live": {
			"{name: west, network: blue}, {name: north, network: blue}", map[string]Allocation{"west": west, "north": {PodSubnet: "10.10.0.0/17"}},
			`t.yaml:4:19: spec.clusters[0].provider.kind.podSubnet: 10.10.0.0/16 overlaps 10.10.0.0/17, which the pods of the live cluster "north" have in the same network "blue" (write different networks for the two, or make one of them anew with another subnet)`,
		},
		"a record that was edited": {
			"{name: west}", map[string]Allocation{"west": {PodSubnet: "10.10.0.1/16"}},
			`t.yaml:4:19: spec.clusters[0]: what is recorded in the cluster "west" can not be used: podSubnet: 10.10.0.1/16 has host bits (remove the annotation meshfed.io/allocation of ConfigMap kube-system/meshfed-owner in that cluster)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := header + "spec: {clusters: [" + test.clusters + "]}\n"
			parsed, err := Parse("t.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.ApplyRecorded(test.recorded); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// TestRecordedRangeOfLoadBalancer: it is kept where it may lie, and what the file gives to
// another cluster may not overlap it.
func TestRecordedRangeOfLoadBalancer(t *testing.T) {
	t.Parallel()
	parsed := fileOf(t, []wish{{name: "west"}, {name: "east", addresses: "172.20.0.200-172.20.0.203"}})
	apply := func(addresses string) (map[string]AddressRange, error) {
		if err := parsed.ApplyRecorded(map[string]Allocation{"west": {Addresses: addresses}}); err != nil {
			t.Fatal(err)
		}
		return parsed.AllocateAddresses(containerNetwork)
	}
	if ranges, err := apply("172.20.0.240-172.20.0.247"); err != nil || ranges["west"].String() != "172.20.0.240-172.20.0.247" {
		t.Errorf("got %v, %v", ranges, err)
	}
	if ranges, err := apply("10.89.0.240-10.89.0.247"); err != nil || !ranges["west"].Within(containerNetwork) {
		t.Errorf("a range of another network: got %v, %v", ranges, err)
	}
	const want = `t.yaml:4:116: spec.clusters[1].loadBalancer.addresses: 172.20.0.200-172.20.0.203 overlaps 172.20.0.202-172.20.0.205, which the load balancer of the live cluster "west" has (write another range)`
	if _, err := apply("172.20.0.202-172.20.0.205"); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
