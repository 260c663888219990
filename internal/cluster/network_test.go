// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/topology"
)

var ours = map[string]string{topology.LabelTopology: "lab", topology.LabelOwner: "o1"}

const noNetwork = "Error: inspecting object: network meshfed-lab: unable to find network with name or ID meshfed-lab: network not found"

func TestParseNetworks(t *testing.T) {
	t.Parallel()
	list, err := parseNetworks([]byte(fixture(t, "networks.json")))
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	want := Network{Name: "meshfed-lab", Subnet: netip.MustParsePrefix("10.90.0.0/24"),
		First: netip.MustParseAddr("10.90.0.1"), Last: netip.MustParseAddr("10.90.0.127"),
		Gateway: netip.MustParseAddr("10.90.0.1"), DNS: true, Labels: ours}
	if diff := cmp.Diff(want, list[0].Network, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if list[1].DNS || list[1].First.IsValid() || list[1].OwnedBy(ours) || list[1].OwnedBy(nil) {
		t.Errorf("podman's own network: %+v", list[1])
	}
}

func TestParseNetworksOfDocker(t *testing.T) {
	t.Parallel()
	list, err := parseNetworks([]byte(fixture(t, "docker-networks.json")))
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	want := Network{Name: "meshfed-lab", Subnet: netip.MustParsePrefix("10.90.7.0/24"),
		First: netip.MustParseAddr("10.90.7.1"), Last: netip.MustParseAddr("10.90.7.127"),
		Gateway: netip.MustParseAddr("10.90.7.1"), DNS: true, Labels: ours}
	if diff := cmp.Diff(want, list[0].Network, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kind := list[1]; kind.Subnet.String() != "172.17.0.0/16" || kind.First.IsValid() || !kind.DNS || kind.OwnedBy(ours) {
		t.Errorf("a network that only has a name: %+v", kind)
	}
	if host := list[2]; host.Subnet.IsValid() || host.DNS || len(host.subnets) > 0 {
		t.Errorf("the host's own: %+v", host)
	}
	for name, test := range map[string]struct {
		text, subnet, gateway string
		names                 bool
	}{
		"default bridge": {`{"Name": "bridge", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}, "Options": {"com.docker.network.bridge.default_bridge": "true"}}`,
			"172.17.0.0/16", "172.17.0.1", false},
		"IPv6 first": {`{"Name": "kind", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "fc00:f853::/64"}, {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1/16"}]}}`,
			"172.18.0.0/16", "172.18.0.1", true},
		"unusual gateway": {`{"Name": "kind", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "10.1.0.0/16", "Gateway": "10.1.255.254"}]}}`,
			"10.1.0.0/16", "10.1.255.254", true},
	} {
		list, err := parseNetworks([]byte("[" + test.text + "]"))
		if err != nil || list[0].Subnet.String() != test.subnet || list[0].Gateway.String() != test.gateway || list[0].DNS != test.names {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
}

func TestEnsureNetworkOfDocker(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Engine: docker, Answers: []clustertest.Answer{
		{To: "network inspect meshfed-lab", Fails: "Error response from daemon: network meshfed-lab not found", Once: true},
		{To: "network inspect meshfed-lab", Out: "[" + oneNetwork("o1") + "]"},
		{To: "network inspect --format", Out: "1400"},
		{To: "network ls", Out: "f7bdb80b3ee9"},
		{To: "network inspect f7bdb80b3ee9", Out: `[{"Name": "x", "IPAM": {"Config": [{"Subnet": "10.90.0.0/22"}]}}]`},
		{To: "network create", Fails: "Error response from daemon: Pool overlaps with other one on this address space", Once: true},
	}}
	s := NetworkSpec{Name: "meshfed-lab", Labels: ours, Range: new(topology.Topology).NodeRange}
	if _, err := EnsureNetwork(t.Context(), e, s); err != nil {
		t.Fatal(err)
	}
	// Which subnets are free depends on this host too.
	form := regexp.MustCompile(`^network create --subnet 10\.90\.(\d+)\.0/24 --gateway 10\.90\.(\d+)\.1 --opt com.docker.network.driver.mtu=1400 --ip-range 10\.90\.(\d+)\.0/25` +
		` --label meshfed.io/owner=o1 --label meshfed.io/topology=lab meshfed-lab$`)
	calls := e.Calls("network create")
	if len(calls) != 2 {
		t.Fatalf("calls: %q", calls)
	}
	first, second := form.FindStringSubmatch(calls[0]), form.FindStringSubmatch(calls[1])
	if first == nil || second == nil || first[1] == second[1] || second[1] != second[2] || second[1] != second[3] || len(second[1]) == 1 && second[1] < "4" {
		t.Errorf("calls: %q", calls)
	}
}

func TestJoinNetwork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer clustertest.Answer
		want   string
	}{
		"kind":    {answer: clustertest.Answer{Out: `[{"Name": "kind", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}]`}},
		"absent":  {clustertest.Answer{Fails: "Error: No such network: kind"}, ErrNoNetwork.Error()},
		"no IPv4": {clustertest.Answer{Out: `[{"Name": "kind", "IPAM": {"Config": [{"Subnet": "fc00::/64"}]}}]`}, "no IPv4 subnet"},
	} {
		test.answer.To = "network inspect kind"
		e := &clustertest.Engine{Engine: docker, Answers: []clustertest.Answer{test.answer}}
		n, err := JoinNetwork(t.Context(), e, "kind")
		if test.want == "" && (err != nil || n.Subnet.String() != "172.18.0.0/16") {
			t.Errorf("%s: %+v, %v", name, n, err)
		} else if test.want != "" {
			refused(t, err, test.want, "")
		}
		if len(e.Calls("")) != 1 {
			t.Errorf("%s: %q", name, e.Calls(""))
		}
	}
}

func TestEnsureNetworkMakesIt(t *testing.T) {
	t.Parallel()
	e := &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "network inspect meshfed-lab", Fails: noNetwork, Once: true},
		{To: "network inspect meshfed-lab", Out: "[" + oneNetwork("o1") + "]"},
		{To: "network ls", Out: "podman"},
		{To: "network inspect podman", Out: `[{"name": "podman", "subnets": [{"subnet": "10.90.0.0/24"}]}]`},
		{To: "network create", Fails: "Error: subnet 10.90.2.0/24 is already used on the host or by another config", Once: true},
	}}
	s := NetworkSpec{Name: "meshfed-lab", Labels: ours, Range: new(topology.Topology).NodeRange, Avoid: []netip.Prefix{netip.MustParsePrefix("10.90.1.0/24")}}
	n, err := EnsureNetwork(t.Context(), e, s)
	if err != nil || n.Name != "meshfed-lab" {
		t.Fatalf("%v, %v", n, err)
	}
	calls := e.Calls("network create")
	// Which subnets are free depends on this host too: its routes are left out as well.
	form := regexp.MustCompile(`^network create --subnet 10\.90\.(\d+)\.0/24 --ip-range 10\.90\.(\d+)\.0/25 --label meshfed.io/owner=o1 --label meshfed.io/topology=lab meshfed-lab$`)
	if len(calls) != 2 {
		t.Fatalf("calls: %q", calls)
	}
	first, second := form.FindStringSubmatch(calls[0]), form.FindStringSubmatch(calls[1])
	if first == nil || second == nil || first[1] == second[1] || second[1] != second[2] || second[1] == "0" || second[1] == "1" {
		t.Errorf("calls: %q", calls)
	}
}

func oneNetwork(owner string) string {
	return `{"name": "meshfed-lab", "labels": {"meshfed.io/topology": "lab", "meshfed.io/owner": "` + owner + `"},
		"subnets": [{"subnet": "fd00::/64"}, {"subnet": "10.90.3.0/24", "lease_range": {"start_ip": "10.90.3.1", "end_ip": "10.90.3.127"}}]}`
}

func TestNetworkOfSomeoneElse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ inspect, want string }{
		"no labels":     {`[{"name": "meshfed-lab", "subnets": []}]`, "it has no label meshfed.io/topology"},
		"another owner": {"[" + oneNetwork("o2") + "]", "it belongs to topology lab, owner o2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &clustertest.Engine{Answers: []clustertest.Answer{{To: "network inspect meshfed-lab", Out: test.inspect}}}
			_, err := EnsureNetwork(t.Context(), e, NetworkSpec{Name: "meshfed-lab", Labels: ours})
			refused(t, err, test.want, "choose another metadata.name")
			rerr := RemoveNetwork(t.Context(), e, "meshfed-lab", ours)
			refused(t, rerr, test.want, "")
			if !errors.Is(err, ErrForeign) || !errors.Is(rerr, ErrForeign) {
				t.Errorf("%v, %v", err, rerr)
			}
			if changes := append(e.Calls("network create"), e.Calls("network rm")...); len(changes) > 0 {
				t.Errorf("changed: %q", changes)
			}
		})
	}
}

func TestRemoveNetwork(t *testing.T) {
	t.Parallel()
	inspect := clustertest.Answer{To: "network inspect meshfed-lab", Out: "[" + oneNetwork("o1") + "]"}
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		removed int
		want    string
	}{
		"ours":   {answers: []clustertest.Answer{inspect}, removed: 1},
		"absent": {answers: []clustertest.Answer{{To: "network inspect", Fails: noNetwork}}},
		"used": {answers: []clustertest.Answer{inspect, {To: "ps", Out: "7585"}, {To: "container inspect", Out: fixture(t, "container.json")}},
			want: "still used by lab-west-control-plane"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &clustertest.Engine{Answers: test.answers}
			err := RemoveNetwork(t.Context(), e, "meshfed-lab", ours)
			if test.want != "" {
				refused(t, err, test.want, "podman network disconnect meshfed-lab lab-west-control-plane")
			} else if err != nil {
				t.Error(err)
			}
			if got := e.Calls("network rm meshfed-lab"); len(got) != test.removed {
				t.Errorf("removed %d times", len(got))
			}
		})
	}
}

func TestFreeSubnets(t *testing.T) {
	t.Parallel()
	used := []netip.Prefix{netip.MustParsePrefix("10.88.0.0/14")}
	for subnet := range freeSubnets(used) {
		if want := "172.30.0.0/24"; subnet.String() != want {
			t.Errorf("%s instead of %s", subnet, want)
		}
		break
	}
	count, last := 0, netip.Prefix{}
	for subnet := range freeSubnets(nil) {
		count, last = count+1, subnet
	}
	if count != 256+256+32 || last.String() != "192.168.255.0/24" {
		t.Errorf("%d subnets, the last %s", count, last)
	}
}

func TestParseRoutes(t *testing.T) {
	t.Parallel()
	const table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n" +
		"podman1\t00005A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nnonsense\n"
	want := []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("10.90.0.0/24")}
	if diff := cmp.Diff(want, parseRoutes(table), addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
