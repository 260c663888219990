// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// lived is the namespace by which a cluster is known again.
func lived(uid string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: types.UID(uid)}}
}

func recorded(t *testing.T, m *Mesh, all map[string]state.Access) {
	t.Helper()
	if err := m.State.SetExisting(all); err != nil {
		t.Fatal(err)
	}
}

// TestFormerCluster: a cluster of the user's own that the file no longer has is told of and left
// alone; when the user says so it is cleaned after the credentials for it have gone, and forgotten.
func TestFormerCluster(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a"}, "a")
	recorded(t, m, map[string]state.Access{"east": {Context: "prod", UID: "e"}})
	east := kubetest.New(t, "east", lived("e"))
	m.connections["east"] = &connection{client: east.Client}
	if err := m.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	change, err := stepNamed(t, Up(m), "cluster@east").Look(t.Context())
	if err != nil || change.Action != graph.None || !strings.Contains(change.Reason, "kept; `meshfed up --prune-clusters` takes out what `up` put there (context prod)") {
		t.Errorf("unasked: %+v, %v", change, err)
	}
	m.PruneClusters = true
	steps := Up(m)
	if err := graph.Validate(steps); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"prune@a"}, stepNamed(t, steps, "credentials@east").Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	last := stepNamed(t, steps, "cluster@east")
	if diff := cmp.Diff([]string{"owner@east"}, last.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	result := graph.Run(t.Context(), []graph.Step{alone(last)}, graph.Options{})
	if err := result.Err(); err != nil || result.Outcomes[0].Change.Action != graph.Delete {
		t.Errorf("asked: %+v, %v", result.Outcomes[0].Change, err)
	}
	if left, err := m.State.Existing(); err != nil || len(left) > 0 {
		t.Errorf("still recorded: %v, %v", left, err)
	}
	down, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range down {
		if s.Cluster == "east" {
			t.Errorf("down is about a cluster that was cleaned: %s", s.ID)
		}
	}
}

// TestDownOfAFormerCluster: down cleans what the file no longer has as well.
func TestDownOfAFormerCluster(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a"}, "a")
	recorded(t, m, map[string]state.Access{"east": {Context: "prod", UID: "e"}})
	m.connections["east"] = &connection{client: kubetest.New(t, "east", lived("e")).Client}
	steps, err := Down(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	stepNamed(t, steps, "istiod@east")
	stepNamed(t, steps, "owner@east")
}

// TestKeepAccess: names are recorded, once each, and a cluster that got another name has one.
func TestKeepAccess(t *testing.T) {
	t.Parallel()
	m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
	east := kubetest.New(t, "east", lived("e"))
	east.Context = "prod"
	m.with(east)
	recorded(t, m, map[string]state.Access{"orient": {Context: "prod", UID: "e"}, "asia": {Context: "dev", UID: "x"}})
	for range 2 {
		if err := m.KeepAccess(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.State.Existing()
	want := map[string]state.Access{"asia": {Context: "dev", UID: "x"}, "east": {Kubeconfig: m.Topology.Kubeconfig("east"), Context: "prod", UID: "e"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	nothingKept(t, m.State.Path)
	m.Topology.Cluster("east").Manage = topology.Manage{}
	recorded(t, m, nil)
	if err := m.KeepAccess(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := m.State.Existing(); len(got) > 0 {
		t.Errorf("recorded, and nothing in it is ours: %v", got)
	}
}

// discovered is what an API server says of itself that has namespaces and ConfigMaps.
var discovered = map[string]any{
	"/api":  metav1.APIVersions{Versions: []string{"v1"}},
	"/apis": metav1.APIGroupList{},
	"/api/v1": metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
		{Name: "namespaces", Kind: "Namespace", Verbs: []string{"get"}},
		{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: []string{"get"}},
	}},
}

// oldCluster serves what is asked of a cluster that is known again, and returns how it is reached.
func oldCluster(t *testing.T, m *Mesh, uid string, objects ...client.Object) state.Access {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, o := range append(objects, lived(uid)) {
			if strings.HasSuffix(r.URL.Path, "/"+o.GetName()) {
				_ = json.NewEncoder(w).Encode(o)
				return
			}
		}
		if known := discovered[r.URL.Path]; known != nil {
			_ = json.NewEncoder(w).Encode(known)
			return
		}
		if r.URL.Path != "/version" {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound})
			return
		}
		_, _ = w.Write([]byte(`{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}`))
	}))
	t.Cleanup(server.Close)
	a := state.Access{Kubeconfig: filepath.Join(t.TempDir(), "old"), Context: "old", UID: "o"}
	text := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\nusers: [{name: u, user: {token: t}}]\ncontexts: [{name: old, context: {cluster: c, user: u}}]\n"
	if err := os.WriteFile(a.Kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	recorded(t, m, map[string]state.Access{"east": a})
	return a
}

func markOf(m *Mesh, owner string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap},
		Data: map[string]string{"topology": m.Topology.Metadata.Name, "owner": owner}}
}

// TestAnotherClusterByTheSameName: one that still holds what `up` put there is not forgotten for
// another of its name; one that is gone, or has nothing of ours, is.
func TestAnotherClusterByTheSameName(t *testing.T) {
	t.Parallel()
	mesh := func() *Mesh {
		m := ownMesh(t, apiServer(t), "", "token: "+secretToken)
		return m.with(kubetest.New(t, "east", lived("e")))
	}
	m := mesh()
	oldCluster(t, m, "o", markOf(m, m.Owner))
	hinted(t, m.sameAsBefore(t.Context(), "east"), "another cluster by the name east than before: that was context old", "--prune-clusters")

	for name, prepare := range map[string]func(*Mesh){
		"nothing recorded": func(*Mesh) {},
		"it is the same":   func(m *Mesh) { recorded(t, m, map[string]state.Access{"east": {Context: "x", UID: "e"}}) },
		"it is gone": func(m *Mesh) {
			recorded(t, m, map[string]state.Access{"east": {Kubeconfig: "/nowhere", Context: "x", UID: "o"}})
		},
		"it was made anew": func(m *Mesh) { oldCluster(t, m, "p", markOf(m, m.Owner)) },
		"it holds nothing": func(m *Mesh) { oldCluster(t, m, "o") },
		"it is somebody's": func(m *Mesh) { oldCluster(t, m, "o", markOf(m, "fedcba9876543210")) },
	} {
		m := mesh()
		prepare(m)
		if err := m.sameAsBefore(t.Context(), "east"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFormerClusterElsewhere: a context that leads to another cluster by now is not touched.
func TestFormerClusterElsewhere(t *testing.T) {
	t.Parallel()
	m := threeOf(t, []string{"a"}, "a")
	oldCluster(t, m, "p", markOf(m, m.Owner))
	if err := m.Recall(); err != nil {
		t.Fatal(err)
	}
	_, err := m.Client(t.Context(), "east")
	hinted(t, err, "leads to another cluster now", m.State.ExistingFile())
}

// TestTwoNamesForOneCluster: contexts hide it, the cluster does not.
func TestTwoNamesForOneCluster(t *testing.T) {
	t.Parallel()
	m := meshOf(t, "a", "b").with(kubetest.New(t, "a", lived("e")), kubetest.New(t, "b", lived("e")))
	hinted(t, m.oneName(t.Context(), []string{"a", "b"}), "a and b are one cluster", "another context")
	m = meshOf(t, "a", "b").with(kubetest.New(t, "a", lived("e")), kubetest.New(t, "b", lived("f")))
	if err := m.oneName(t.Context(), []string{"a", "b"}); err != nil {
		t.Error(err)
	}
}

// TestUnplaced: with the state directory lost only a credential names the cluster. It is told of,
// and --prune-clusters is refused before that last trace goes.
func TestUnplaced(t *testing.T) {
	t.Parallel()
	secret := func(m *Mesh, peer string, labels map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.RemoteSecretName(peer), Labels: map[string]string{topology.LabelMultiCluster: "true"}}}
		for key, value := range labels {
			s.Labels[key] = value
		}
		return s
	}
	m := threeOf(t, []string{"a", "b"}, "a", "b", "c")
	recorded(t, m, map[string]state.Access{"former": {Context: "prod"}})
	if err := m.connections["a"].client.Apply(t.Context(), secret(m, "b", m.Labels()), secret(m, "c", m.Labels()), secret(m, "former", m.Labels()),
		secret(m, "lost", m.Labels()), secret(m, "others", nil)); err != nil {
		t.Fatal(err)
	}
	if err := m.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	m.FindUnplaced(t.Context())
	if diff := cmp.Diff([]string{"lost"}, m.Unplaced()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	change, err := stepNamed(t, Up(m), "cluster@lost").Look(t.Context())
	if err != nil || change.Needed() || !strings.Contains(change.Reason, "where it is is not recorded here") {
		t.Errorf("%+v, %v", change, err)
	}
	if err := m.refuseUnplaced(); err != nil {
		t.Errorf("unasked: %v", err)
	}
	m.PruneClusters = true
	hinted(t, m.Preflight(t.Context()), "where lost is is not recorded", "put lost back into the file")
}
