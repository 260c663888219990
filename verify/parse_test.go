// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/topology"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseClusters(t *testing.T) {
	t.Parallel()
	got, err := parseClusters(recorded(t, "clusters.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []envoyCluster{
		{Name: "outbound|8080||local.meshfed-verify.svc.cluster.local", Endpoints: []Endpoint{
			{Address: "10.10.0.14", Port: 8080, Weight: 1, Healthy: true, Locality: topology.Locality{Region: "us-west", Zone: "us-west-1"}},
			{Address: "10.89.0.201", Port: 15443, Weight: 3, Priority: 1, Locality: topology.Locality{Region: "us-east", Zone: "us-east-1"}},
		}},
		{Name: "BlackHoleCluster"},
		{Name: "sds-grpc"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	if e, ok := endpointsOf(got, outbound(8080, "local.meshfed-verify.svc.cluster.local")); !ok || len(e) != 2 {
		t.Errorf("endpoints of local: %v %v", e, ok)
	}
	if _, ok := endpointsOf(got, outbound(8080, "other")); ok {
		t.Error("found a cluster that is not there")
	}
}

func TestParseListenersAndClusterz(t *testing.T) {
	t.Parallel()
	ports, err := parseListeners(recorded(t, "listeners.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{15443, 15090, 0}, ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	peers, _, err := parseClusterz(recorded(t, "clusterz.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"west": "synced", "east": "timeout"}, peers); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}

func TestCalled(t *testing.T) {
	t.Parallel()
	for cluster, want := range map[string]string{
		outbound(80, "a.b.svc.cluster.local"):     "a.b.svc.cluster.local",
		"outbound|80|v1|a.b.svc.cluster.local":    "a.b.svc.cluster.local",
		sni(80, "a.b.svc.cluster.local"):          "a.b.svc.cluster.local",
		"outbound_.80_.v1_.a.b.svc.cluster.local": "a.b.svc.cluster.local",
		"inbound|8080||":                          "",
		"PassthroughCluster":                      "",
		"outbound_.":                              "",
	} {
		if got := called(cluster); got != want {
			t.Errorf("called(%q) = %q, want %q", cluster, got, want)
		}
	}
}

func FuzzPages(f *testing.F) {
	for _, name := range []string{"clusters.json", "listeners.json", "clusterz.json", "secrets.json"} {
		f.Add(recorded(f, name))
	}
	f.Add([]byte("{}"))
	f.Add([]byte(`{"cluster_statuses":[{"host_statuses":[{}]}]}`))
	f.Fuzz(func(t *testing.T, page []byte) {
		clusters, err := parseClusters(page)
		if err == nil {
			for _, c := range clusters {
				called(c.Name)
				for _, e := range c.Endpoints {
					if e.Address == "" || e.Weight < 1 {
						t.Errorf("endpoint %+v", e)
					}
				}
			}
		}
		_, _ = parseListeners(page)
		_, _, _ = parseClusterz(page)
		if chain, roots, err := parseSecrets(page); err == nil && (len(chain) == 0 || len(roots) == 0) {
			t.Error("no certificates and no error")
		}
	})
}
