// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func istiodPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "istio-system", Labels: map[string]string{"app": "istiod"}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: "True"}}},
	}
}

// istiods is a cluster whose replicas answer with the status that the map's functions give.
func istiods(t *testing.T, status map[string]func() string) *kubetest.Cluster {
	t.Helper()
	var pods []client.Object
	answers := map[string]http.Handler{}
	for name, status := range status {
		pods = append(pods, istiodPod(name))
		answers["istio-system/"+name+":15014"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `[{"id":"west","syncStatus":"synced"},{"id":"east","secretName":"istio-system/s","syncStatus":%q}]`, status())
		})
	}
	c := kubetest.New(t, "west", pods...)
	c.Forwards(t, answers)
	return c
}

func always(s string) func() string { return func() string { return s } }

func TestSyncedAsksEveryReplica(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status map[string]func() string
		want   graph.Change
	}{
		"none there":  {nil, graph.Change{Action: graph.Create, Reason: "istiod is not there"}},
		"both synced": {map[string]func() string{"a": always("synced"), "b": always("synced")}, graph.Change{Action: graph.None, Reason: "2 of 2 replicas have read east"}},
		"one is not":  {map[string]func() string{"a": always("synced"), "b": always("syncing")}, graph.Change{Action: graph.Create, Reason: "b: east is syncing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := istiods(t, tc.status)
			got, err := federation.Synced{In: c.Client, Peers: []string{"east"}}.Look(context.Background())
			if err != nil || got.Action != tc.want.Action || got.Reason != tc.want.Reason {
				t.Errorf("%+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestSyncedWaits(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := istiods(t, map[string]func() string{"istiod-a": func() string {
		if asked.Add(1) < 3 {
			return "syncing"
		}
		return "synced"
	}})
	var states []string
	ctx := graph.WithState(context.Background(), func(s string) { states = append(states, s) })
	s := federation.Synced{In: c.Client, Peers: []string{"east"}, Deadline: 20 * time.Second}
	if err := s.Do(ctx, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(states, "istiod-a: east is syncing") {
		t.Errorf("states %q", states)
	}
}

func TestSyncedGivesUpWithWhatItSaw(t *testing.T) {
	t.Parallel()
	c := istiods(t, map[string]func() string{"istiod-a": always("timeout")})
	s := federation.Synced{In: c.Client, Peers: []string{"east"}, Deadline: 700 * time.Millisecond}
	err := s.Do(context.Background(), graph.Change{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"istiod of west to read east", "istiod-a: east is not synced in time"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if diag.Cluster(err) != "west" || !strings.Contains(strings.Join(diag.Hints(err), ""), "logs deployment/istiod") {
		t.Errorf("cluster %q, hints %q", diag.Cluster(err), diag.Hints(err))
	}

	// A step bounds it by its context, as a plan does, and is to be told the same.
	s.Deadline = 0
	bounded, end := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer end()
	if err := s.Do(bounded, graph.Change{}); diag.Cluster(err) != "west" || !strings.Contains(strings.Join(diag.Hints(err), ""), "logs deployment/istiod") {
		t.Errorf("by its context: %v, hints %q", err, diag.Hints(err))
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Do(ctx, graph.Change{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interrupt: %v", err)
	}
}

func TestSyncedCanNotLook(t *testing.T) {
	t.Parallel()
	c := istiods(t, nil)
	c.Fail("list", "", "", errors.New("boom"), 0)
	got, err := federation.Synced{In: c.Client, Peers: []string{"east"}}.Look(context.Background())
	if err == nil || got.Action != graph.Unknown {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSyncedRestartsAnIstiodThatIsDeaf: the secret lies there, and istiod does not know its
// cluster until it is another istiod.
func TestSyncedRestartsAnIstiodThatIsDeaf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		secret, foreign, restarted bool
	}{
		"a secret that is not taken up":    {secret: true, restarted: true},
		"no secret, nothing to restart":    {},
		"somebody else's is left as it is": {secret: true, foreign: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := []client.Object{istiodPod("istiod-a")}
			if tc.secret {
				objects = append(objects, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "istio-remote-secret-east", Namespace: "istio-system"}})
			}
			c := kubetest.New(t, "west", objects...)
			c.Forwards(t, map[string]http.Handler{"istio-system/istiod-a:15014": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `[{"id":"west","syncStatus":"synced"}]`)
			})})
			var states []string
			ctx := graph.WithState(context.Background(), func(s string) { states = append(states, s) })
			s := federation.Synced{In: c.Client, Peers: []string{"east"}, DeafAfter: 300 * time.Millisecond, Foreign: tc.foreign, Deadline: 600 * time.Millisecond}
			err := s.Do(ctx, graph.Change{})
			if err == nil {
				t.Fatal("east is known to nobody, and no error")
			}
			if told := strings.Contains(strings.Join(diag.Hints(err), "\n"), "rollout restart"); told != tc.foreign {
				t.Errorf("hints %q", diag.Hints(err))
			}
			if got := slices.ContainsFunc(states, func(s string) bool { return strings.HasPrefix(s, "restarting istiod") }); got != tc.restarted {
				t.Errorf("states %q", states)
			}
			pods, err := c.Client.Pods(context.Background(), "istio-system", nil)
			if err != nil || (len(pods) == 0) != tc.restarted {
				t.Errorf("%d pods are left, %v", len(pods), err)
			}
		})
	}
}
