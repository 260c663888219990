// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

func TestParseNodes(t *testing.T) {
	t.Parallel()
	list, err := parseNodes([]byte(fixture(t, "nodes.json")))
	if err != nil || len(list) != 1 || list["lab-west-control-plane"].Bits() != 24 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := parseNodes([]byte(`{"items": [{"metadata": {"name": "x"}}]}`)); err != nil || len(list) != 0 {
		t.Errorf("a node without a subnet: %+v, %v", list, err)
	}
}

// twoNodes is a spec with a worker, and its record.
func twoNodes() (cluster.Spec, record) {
	s := west()
	s.Nodes = append(s.Nodes, cluster.Node{Role: "worker"})
	return s, record{Spec: s, Nodes: map[string]nodeRecord{
		"lab-west-control-plane": {Address: netip.MustParseAddr("10.90.0.2"), Pods: netip.MustParsePrefix("10.10.0.0/24")},
		"lab-west-worker":        {Address: netip.MustParseAddr("10.90.0.3"), Pods: netip.MustParsePrefix("10.10.1.0/24")},
	}}
}

func TestBridgeOfSeveralNodes(t *testing.T) {
	t.Parallel()
	_, r := twoNodes()
	item := func(name, subnet string) string {
		return `{"metadata": {"name": "` + name + `"}, "spec": {"podCIDR": "` + subnet + `"}}`
	}
	both := `{"items": [` + item("lab-west-control-plane", "10.10.0.0/24") + "," + item("lab-west-worker", "10.10.1.0/24") + "]}"
	p, e, _ := fakeProvider(t, "ok", clustertest.Answer{To: "exec lab-west-control-plane kubectl", Out: `{"items": []}`, Once: true},
		clustertest.Answer{To: "exec lab-west-control-plane kubectl", Out: both})
	if err := p.bridge(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	calls := strings.Join(e.Calls("exec --interactive"), "\n")
	for _, want := range []string{"ip route replace 10.10.1.0/24 via 10.90.0.3", "ip route replace 10.10.0.0/24 via 10.90.0.2"} {
		if strings.Count(calls, want) != 1 {
			t.Errorf("no %q in %s", want, calls)
		}
	}
}

func TestLookSeesThatRoutesAreMissing(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	s, r := twoNodes()
	r.Nodes["lab-west-worker"] = nodeRecord{Address: netip.MustParseAddr("10.90.0.7"), Pods: r.Nodes["lab-west-worker"].Pods}
	both := strings.TrimSuffix(inspect("lab-west", "running", "meshfed-lab", port), "]") + `, {"Id": "w", "Name": "lab-west-worker", "State": {"Status": "running"},
		"Config": {"Labels": {"io.x-k8s.kind.cluster": "lab-west"}}, "NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": "10.90.0.3"}}}}]`
	route := func(node, line string) clustertest.Answer {
		return clustertest.Answer{To: "exec " + node + " ip -4 route", Out: "default via 10.90.0.1 dev eth0\n" + line + " dev eth0\n"}
	}
	back := route("lab-west-worker", "10.10.0.0/24 via 10.90.0.2")
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		want    cluster.State
		reason  string
	}{
		"there": {[]clustertest.Answer{route("lab-west-control-plane", "10.10.1.0/24 via 10.90.0.3"), back}, cluster.Ready, ""},
		"stale": {[]clustertest.Answer{route("lab-west-control-plane", "10.10.1.0/24 via 10.90.0.33"), back}, cluster.Impaired, "lab-west-control-plane has no route 10.10.1.0/24 via 10.90.0.3"},
		"gone":  {[]clustertest.Answer{back}, cluster.Impaired, "lab-west-control-plane has no route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _, _ := fakeProvider(t, "ok", append(test.answers, clustertest.Answer{To: "ps", Out: "a\nb"}, clustertest.Answer{To: "container inspect", Out: both}, recordedAs(t, r, admin))...)
			got, err := p.Look(t.Context(), s)
			if err != nil || got.State != test.want || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("%s %q, %v", got.State, got.Reason, err)
			}
			if diff := cmp.Diff([]string{"node lab-west-worker has 10.90.0.3, had 10.90.0.7"}, got.Notes); diff != "" {
				t.Errorf("notes: %s", diff)
			}
		})
	}
}

func TestBridgeConfigIsJSON(t *testing.T) {
	t.Parallel()
	if text := bridgeConfig(netip.MustParsePrefix("10.10.3.0/24")); !json.Valid([]byte(text)) || !strings.Contains(text, "10.10.3.0/24") {
		t.Error(text)
	}
}
