// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package istiod_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/istiod"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

const twoClusters = `[{"id":"west","secretName":"","syncStatus":"synced"},
	{"id":"east","secretName":"istio-system/istio-remote-secret-east","syncStatus":"syncing"}]`

func TestParseClusterz(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data string
		want []istiod.RemoteCluster
		err  string
	}{
		"two": {data: twoClusters, want: []istiod.RemoteCluster{
			{ID: "west", SyncStatus: "synced"},
			{ID: "east", SecretName: "istio-system/istio-remote-secret-east", SyncStatus: "syncing"},
		}},
		"empty list": {data: "[]", err: "not even istiod's own"},
		"null":       {data: "null", err: "not even istiod's own"},
		"no status":  {data: `[{"id":"west"}]`, err: "entry 1 has no id or no syncStatus"},
		"a web page": {data: "<html>", err: "reading the list of clusters"},
		"an object":  {data: "{}", err: "reading the list of clusters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := istiod.ParseClusterz([]byte(tc.data))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

func FuzzParseClusterz(f *testing.F) {
	for _, seed := range []string{twoClusters, "[]", "null", `[{"id":1}]`, "[[", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		clusters, err := istiod.ParseClusterz(data)
		if err == nil && len(clusters) == 0 {
			t.Error("no clusters and no error")
		}
		_ = istiod.Missing(clusters, []string{"east"})
	})
}

func TestMissing(t *testing.T) {
	t.Parallel()
	remote := func(id, status string) istiod.RemoteCluster {
		return istiod.RemoteCluster{ID: id, SecretName: "istio-system/s", SyncStatus: status}
	}
	for name, tc := range map[string]struct {
		clusters []istiod.RemoteCluster
		want     string
	}{
		"all synced":             {[]istiod.RemoteCluster{remote("east", "synced"), remote("north", "synced")}, ""},
		"syncing":                {[]istiod.RemoteCluster{remote("east", "syncing"), remote("north", "synced")}, "east is syncing"},
		"timed out":              {[]istiod.RemoteCluster{remote("east", "timeout"), remote("north", "synced")}, "east is not synced in time, its API server does not answer istiod"},
		"unknown":                {[]istiod.RemoteCluster{remote("north", "closed")}, "east is not known, north is closed"},
		"own cluster is no peer": {[]istiod.RemoteCluster{{ID: "east", SyncStatus: "synced"}, remote("north", "synced")}, "east is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := istiod.Missing(tc.clusters, []string{"east", "north"}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func pod(name string, phase corev1.PodPhase, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "istio-system", Labels: map[string]string{"app": "istiod"}},
		Status:     corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func TestReplicasAndClusterz(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	blue := pod("istiod-blue-a", corev1.PodRunning, "True")
	blue.Labels["istio.io/rev"] = "blue"
	c := kubetest.New(t, "west", blue, pod("istiod-b", corev1.PodPending, "False"), pod("istiod-a", corev1.PodRunning, "True"), pod("istiod-evicted", corev1.PodFailed, "False"))
	replicas, err := istiod.Replicas(ctx, c.Client, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []istiod.Replica{{Pod: "istiod-a", Ready: true}, {Pod: "istiod-b", Reason: "Pending"}}
	if diff := cmp.Diff(want, replicas); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if replicas, err = istiod.Replicas(ctx, c.Client, "blue"); err != nil || len(replicas) != 1 || replicas[0].Pod != "istiod-blue-a" {
		t.Errorf("of revision blue: %v, %v", replicas, err)
	}
	c.Forwards(t, map[string]http.Handler{"istio-system/istiod-a:15014": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/clusterz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(twoClusters))
	})})
	clusters, err := istiod.Clusterz(ctx, c.Client, "istiod-a")
	if err != nil || len(clusters) != 2 {
		t.Errorf("%v, %v", clusters, err)
	}
	if _, err := istiod.Clusterz(ctx, c.Client, "istiod-z"); err == nil || !strings.Contains(err.Error(), "istiod-z") {
		t.Errorf("absent replica: %v", err)
	}
}
