// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// threeOf is a mesh of clusters that say nothing but their names; those of live exist, with the
// record that `up` leaves when the file has just them.
func threeOf(t *testing.T, file []string, live ...string) *Mesh {
	t.Helper()
	m := meshOf(t, file...)
	made := meshOf(t, live...)
	var clusters []*kubetest.Cluster
	p := &hosted{status: cluster.Status{State: cluster.Ready}}
	for _, name := range live {
		c := kubetest.New(t, name)
		wanted, err := ownership{made}.wanted(t.Context(), c.Client, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
		clusters = append(clusters, c)
		p.names = append(p.names, made.Topology.KindName(name))
	}
	m.Provider = p
	return m.with(clusters...)
}

func meshOf(t *testing.T, names ...string) *Mesh {
	t.Helper()
	text := "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: usmesh}\nspec:\n  clusters:\n"
	for _, name := range names {
		text += "  - {name: " + name + "}\n"
	}
	tp, err := topology.Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(t.TempDir(), tp.Metadata.Name)
	if err != nil {
		t.Fatal(err)
	}
	return &Mesh{Topology: tp, State: dir, Engine: noEngine{}, Provider: noClusters{}, Owner: "0123456789abcdef"}
}

func podSubnets(m *Mesh) map[string]string {
	subnets := map[string]string{}
	for _, name := range m.Topology.Names() {
		subnets[name] = m.Topology.Cluster(name).Provider.Kind.PodSubnet
	}
	return subnets
}

// TestRecordedSubnetsWin: neither a cluster that is dropped from the file nor one that comes in
// front moves another.
func TestRecordedSubnetsWin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file    []string
		dropped []string
		want    map[string]string
	}{
		"the same":           {file: []string{"a", "b", "c"}, want: map[string]string{"a": "10.10.0.0/16", "b": "10.11.0.0/16", "c": "10.12.0.0/16"}},
		"the first is gone":  {file: []string{"b", "c"}, dropped: []string{"a"}, want: map[string]string{"b": "10.11.0.0/16", "c": "10.12.0.0/16"}},
		"one comes in front": {file: []string{"new", "a", "b", "c"}, want: map[string]string{"new": "10.13.0.0/16", "a": "10.10.0.0/16", "b": "10.11.0.0/16", "c": "10.12.0.0/16"}},
		"one for another":    {file: []string{"new", "b", "c"}, dropped: []string{"a"}, want: map[string]string{"new": "10.13.0.0/16", "b": "10.11.0.0/16", "c": "10.12.0.0/16"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := threeOf(t, test.file, "a", "b", "c")
			if err := m.Recover(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, podSubnets(m)); diff != "" {
				t.Errorf("subnets (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.dropped, m.Dropped()); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSubnetsOfAClusterWithoutARecord: one that is stopped, or was made before anything was
// recorded, keeps what the container engine knows of it.
func TestSubnetsOfAClusterWithoutARecord(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"b"}, "b")
	p := m.Provider.(*hosted)
	p.status = cluster.Status{State: cluster.Different, Differences: []cluster.Difference{{Path: "podSubnet", Old: "10.11.0.0/16", New: "10.10.0.0/16"}}}
	if err := m.connections["b"].client.Delete(t.Context(), owned(nil)); err != nil {
		t.Fatal(err)
	}
	if err := m.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if got := podSubnets(m)["b"]; got != "10.11.0.0/16" {
		t.Errorf("b has %s", got)
	}
}

// TestMovedByTheFile: a file that gives a live cluster another subnet is refused with the line to
// pin, unless the cluster is to be made anew; `plan` says what that costs.
func TestMovedByTheFile(t *testing.T) {
	t.Parallel()
	moved := func() *Mesh {
		m := threeOf(t, []string{"a", "b"}, "a", "b")
		tp, err := topology.Parse("t.yaml", []byte("apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: usmesh}\nspec:\n  clusters:\n"+
			"  - {name: a, provider: {kind: {podSubnet: 10.30.0.0/16}}}\n  - {name: b}\n"))
		if err != nil {
			t.Fatal(err)
		}
		m.Topology = tp
		return m
	}
	hinted(t, moved().Recover(t.Context(), false), "10.30.0.0/16 would move the live cluster \"a\"", "meshfed up --replace")
	m := moved()
	if err := m.Recover(t.Context(), true); err != nil {
		t.Errorf("plan is refused: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"a": "10.30.0.0/16", "b": "10.11.0.0/16"}, podSubnets(m)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	m = moved()
	m.Replace = []string{"a"}
	if err := m.Recover(t.Context(), false); err != nil {
		t.Errorf("--replace is refused: %v", err)
	}
}

// TestImmutable: the identity of a live mesh is refused to change before anything is done, with
// the line that keeps it; `plan` says replace, with the fields and the cost.
func TestImmutable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*topology.Topology)
		field  graph.FieldChange
		all    bool
	}{
		"mesh ID":      {func(t *topology.Topology) { t.Spec.Mesh.ID = "other" }, graph.FieldChange{Path: "mesh.id", Old: "usmesh", New: "other"}, true},
		"trust domain": {func(t *topology.Topology) { t.Spec.Mesh.TrustDomain = "x.example" }, graph.FieldChange{Path: "mesh.trustDomain", Old: "cluster.local", New: "x.example"}, true},
		"network":      {func(t *topology.Topology) { t.Spec.Clusters[0].Network = "n" }, graph.FieldChange{Path: "network", Old: "a", New: "n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := threeOf(t, []string{"a", "b"}, "a", "b")
			test.field.Old = strings.Replace(test.field.Old, "a", m.Topology.Spec.Clusters[0].Network, 1)
			if test.field.Path != "network" {
				test.field.Old = map[string]string{"mesh.id": "usmesh", "mesh.trustDomain": "cluster.local"}[test.field.Path]
			}
			if err := m.Recover(t.Context(), false); err != nil || m.CheckImmutable() != nil {
				t.Fatalf("unchanged: %v, %v", err, m.CheckImmutable())
			}
			test.change(m.Topology)
			err := m.CheckImmutable()
			hinted(t, err, test.field.Path+" is "+test.field.Old+" and the file says "+test.field.New, "write "+test.field.Path+": "+test.field.Old+" to keep it")
			hinted(t, err, "what can not be changed", "kind cluster usmesh-a is deleted with all that runs in it, and for b its services are gone until it is up again")
			if both := strings.Count(err.Error(), "what can not be changed"); (both == 2) != test.all {
				t.Errorf("%d clusters are named: %v", both, err)
			}
			change, err := m.lookCluster(t.Context(), "a")
			if err != nil || change.Action != graph.Replace || !slices.Contains(change.Fields, test.field) {
				t.Errorf("the step says %+v, %v", change, err)
			}
			if err := m.makeCluster(t.Context(), "a", change); err == nil || !strings.Contains(err.Error(), "what can not be changed") {
				t.Errorf("it is made anew unasked: %v", err)
			}
			m.Replace = []string{"a", "b"}
			if err := m.CheckImmutable(); err != nil {
				t.Errorf("refused although it was asked for: %v", err)
			}
		})
	}
}

// TestReplace deletes and makes just the cluster that was named, once.
func TestReplace(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a", "b"}, "a", "b")
	p := &deleting{hosted: m.Provider.(*hosted)}
	m.Provider, m.Replace, m.Bundle = p, []string{"a"}, bundled(t)
	if err := m.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	change, err := m.lookCluster(t.Context(), "a")
	if err != nil || change.Action != graph.Replace || !strings.HasPrefix(change.Reason, "asked for by --replace: kind cluster usmesh-a is deleted") {
		t.Fatalf("%+v, %v", change, err)
	}
	if other, err := m.lookCluster(t.Context(), "b"); err != nil || other.Action == graph.Replace {
		t.Errorf("b: %+v, %v", other, err)
	}
	if err := m.makeCluster(t.Context(), "a", change); !errors.Is(err, errNoKubeconfig) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete usmesh-a"}, p.deleted); diff != "" || len(p.ensured) != 1 || p.ensured[0].Name != "usmesh-a" {
		t.Errorf("deleted (-want +got):\n%s\nmade: %+v", diff, p.ensured)
	}
	if change := m.lookReplace("a", p.status); change.Needed() {
		t.Errorf("it is to be made anew again: %+v", change)
	}
}

// TestRecordIsReadBack: what one `up` records, the next one reads.
func TestRecordIsReadBack(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a"}, "a")
	r, err := readRecord(t.Context(), m.connections["a"].client)
	if err != nil || r.mesh != "usmesh" || r.trustDomain != "cluster.local" || r.network != m.Topology.Spec.Clusters[0].Network || r.allocation.PodSubnet != "10.10.0.0/16" {
		t.Errorf("%+v, %v", r, err)
	}
	var found corev1.ConfigMap
	found.ObjectMeta = metav1.ObjectMeta{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap, Annotations: map[string]string{topology.AnnotationAllocation: "{"}}
	c := kubetest.New(t, "a", &found)
	_, err = readRecord(t.Context(), c.Client)
	hinted(t, err, "is no allocation", "remove the annotation")
	if _, err := json.Marshal(r.allocation); err != nil {
		t.Error(err)
	}
}

// TestPlanOnlyReads: whatever a plan finds, it sends nothing but reads, to the API servers and
// through what Helm makes of their addresses.
func TestPlanOnlyReads(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a", "b"}, "a", "b")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }))
	t.Cleanup(server.Close)
	recorder := kubetest.Record(t, &rest.Config{Host: server.URL})
	writes := map[string]int{}
	clusters := map[string]*kubetest.Cluster{}
	for _, name := range []string{"a", "b"} {
		c := kubetest.New(t, name)
		real, err := kube.ForConfig(name, &rest.Config{Host: recorder.Server, TLSClientConfig: rest.TLSClientConfig{CAData: recorder.CA}})
		if err != nil {
			t.Fatal(err)
		}
		c.REST, c.Clientset = real.REST, real.Clientset
		clusters[name], writes[name] = c, len(c.Writes())
	}
	m.with(clusters["a"], clusters["b"])
	if err := m.Recover(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	planned, err := graph.Plan(t.Context(), Up(m), graph.Options{})
	if err != nil || len(planned) < 20 {
		t.Fatalf("%d steps, %v", len(planned), err)
	}
	for name, c := range clusters {
		if now := c.Writes(); len(now) > writes[name] {
			t.Errorf("%s was sent %v", name, now[writes[name]:])
		}
	}
	if others := recorder.Others(); len(others) > 0 || len(recorder.Requests()) == 0 {
		t.Errorf("of %d requests these are no reads: %v", len(recorder.Requests()), others)
	}
}
