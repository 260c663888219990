// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

// flatHost answers for two clusters in one network: west with two nodes, east with two.
func flatHost(tables map[string]string) []clustertest.Answer {
	container := func(name, node, address string) string {
		return fmt.Sprintf(`{"Id": %q, "Name": %q, "State": {"Status": "running"}, "Config": {"Labels": {"io.x-k8s.kind.cluster": %q}},
			"NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": %q, "MacAddress": "02:42:0a:5a:00:0%s"}}}}`, node, node, name, address, address[len(address)-1:])
	}
	list := func(all ...string) string { return "[" + strings.Join(all, ", ") + "]" }
	answers := []clustertest.Answer{
		{To: "ps --all --no-trunc --quiet --filter name=^lab-west", Out: "w1\nw2"},
		{To: "ps --all --no-trunc --quiet --filter name=^lab-east", Out: "e1\ne2"},
		{To: "container inspect w1 w2", Out: list(container("lab-west", "lab-west-control-plane", "10.90.0.2"), container("lab-west", "lab-west-worker", "10.90.0.3"))},
		{To: "container inspect e1 e2", Out: list(container("lab-east", "lab-east-control-plane", "10.90.0.4"), container("lab-east", "lab-east-worker", "10.90.0.5"))},
	}
	for node, table := range tables {
		answers = append(answers, clustertest.Answer{To: "exec " + node + " ip -4 route", Out: table})
	}
	return answers
}

func eastPods() map[string]netip.Prefix {
	return map[string]netip.Prefix{"lab-east-control-plane": netip.MustParsePrefix("10.20.0.0/24"), "lab-east-worker": netip.MustParsePrefix("10.20.1.0/24")}
}

// TestUnrouted: a route that a restart took away, and one to where a node was before, are told
// apart and named.
func TestUnrouted(t *testing.T) {
	t.Parallel()
	const first, second = "10.20.0.0/24 via 10.90.0.4 dev eth0 \n", "10.20.1.0/24 via 10.90.0.5 dev eth0 \n"
	for name, test := range map[string]struct {
		control, worker string
		want            []string
	}{
		"all there": {first + second, second + first, nil},
		"gone":      {first + second, "default via 10.90.0.1 dev eth0\n", []string{"lab-west-worker has no route 10.20.0.0/24 via 10.90.0.4"}},
		"moved":     {first + "10.20.1.0/24 via 10.90.0.9 dev eth0\n", first + second, []string{"lab-west-control-plane has 10.20.1.0/24 via 10.90.0.9 dev eth0, want 10.20.1.0/24 via 10.90.0.5"}},
		"alike":     {first + "10.20.1.0/24 via 10.90.0.55 dev eth0\n", first + second, []string{"lab-west-control-plane has 10.20.1.0/24 via 10.90.0.55 dev eth0, want 10.20.1.0/24 via 10.90.0.5"}},
		"both lack": {"", "", []string{"lab-west-control-plane has no route 10.20.0.0/24 via 10.90.0.4", "lab-west-worker has no route 10.20.0.0/24 via 10.90.0.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, _ := fakeProvider(t, "ok", flatHost(map[string]string{"lab-west-control-plane": test.control, "lab-west-worker": test.worker})...)
			got, err := p.Unrouted(t.Context(), "lab-west", "lab-east", eastPods())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]string{}, test.want...), append([]string{}, got...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRoute writes all routes into every node, replacing what is stale.
func TestRoute(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", append(flatHost(nil), clustertest.Answer{To: "exec lab-west"})...)
	if err := p.Route(t.Context(), "lab-west", "lab-east", eastPods()); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"lab-west-control-plane", "lab-west-worker"} {
		calls := strings.Join(e.Calls("exec "+node), "\n")
		for _, want := range []string{"ip -4 route replace 10.20.0.0/24 via 10.90.0.4", "ip -4 route replace 10.20.1.0/24 via 10.90.0.5"} {
			if strings.Count(calls, want) != 1 {
				t.Errorf("%s is not told %q: %s", node, want, calls)
			}
		}
	}
	if len(e.Calls("exec lab-east")) > 0 {
		t.Error("nodes of the other cluster were touched")
	}
}

// TestRouteToANodeThatIsGone: a node that the API has and the engine has not is no route to
// nowhere.
func TestRouteToANodeThatIsGone(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", flatHost(nil)...)
	pods := eastPods()
	pods["lab-east-worker9"] = netip.MustParsePrefix("10.20.9.0/24")
	err := p.Route(t.Context(), "lab-west", "lab-east", pods)
	if err == nil || !strings.Contains(err.Error(), "node lab-east-worker9 has no address on the container network") {
		t.Errorf("%v", err)
	}
	if len(e.Calls("exec")) > 0 {
		t.Error("something was written all the same")
	}
}
