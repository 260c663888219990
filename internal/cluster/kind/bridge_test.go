// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

func TestParseNodes(t *testing.T) {
	t.Parallel()
	list, err := parseNodes([]byte(fixture(t, "nodes.json")))
	if err != nil || len(list) != 1 || list[0].name != "lab-west-control-plane" || list[0].subnet.Bits() != 24 || !list[0].address.IsValid() {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := parseNodes([]byte(`{"items": [{"metadata": {"name": "x"}}]}`)); err != nil || len(list) != 0 {
		t.Errorf("a node without a subnet: %+v, %v", list, err)
	}
}

func TestBridgeOfSeveralNodes(t *testing.T) {
	t.Parallel()
	s := west()
	s.Nodes = append(s.Nodes, cluster.Node{Role: "worker"})
	node := func(name, subnet, address string) string {
		return `{"metadata": {"name": "` + name + `"}, "spec": {"podCIDR": "` + subnet + `"}, "status": {"addresses": [{"type": "InternalIP", "address": "` + address + `"}]}}`
	}
	both := `{"items": [` + node("lab-west-control-plane", "10.10.0.0/24", "10.90.0.2") + "," + node("lab-west-worker", "10.10.1.0/24", "10.90.0.3") + "]}"
	p, e, _ := fakeProvider(t, "ok", clustertest.Answer{To: "exec lab-west-control-plane kubectl", Out: `{"items": []}`, Once: true},
		clustertest.Answer{To: "exec lab-west-control-plane kubectl", Out: both})
	if err := p.bridge(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	calls := strings.Join(e.Calls("exec --interactive"), "\n")
	for _, want := range []string{"ip route replace 10.10.1.0/24 via 10.90.0.3", "ip route replace 10.10.0.0/24 via 10.90.0.2"} {
		if strings.Count(calls, want) != 1 {
			t.Errorf("no %q in %s", want, calls)
		}
	}
}

func TestBridgeConfigIsJSON(t *testing.T) {
	t.Parallel()
	if text := bridgeConfig(netip.MustParsePrefix("10.10.3.0/24")); !json.Valid([]byte(text)) || !strings.Contains(text, "10.10.3.0/24") {
		t.Error(text)
	}
}
