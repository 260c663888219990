// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// shown is a pod whose container runs since a time, as the API server shows it: in whole seconds.
func shown(namespace, name, node string, since time.Time) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since.Truncate(time.Second))}}
	if since.IsZero() {
		state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: state}}
	return p
}

func TestPodsCurrent(t *testing.T) {
	t.Parallel()
	// Kubelets start pods some time after their node; what is shown has lost the fraction.
	boot := time.Date(2026, 11, 22, 10, 0, 7, 600_000_000, time.UTC)
	for name, test := range map[string]struct {
		pods []client.Object
		want string
	}{
		"none":                     {},
		"from before":              {[]client.Object{shown("kube-system", "coredns", "w", boot.Add(-time.Hour))}, "pod coredns is shown as it was before its node started again"},
		"of istio-system":          {[]client.Object{shown(topology.SystemNamespace, "istiod", "w", boot.Add(-time.Hour))}, "pod istiod"},
		"of MetalLB":               {[]client.Object{shown(topology.MetalLBNamespace, "speaker", "w", boot.Add(-time.Hour))}, "pod speaker"},
		"of somebody else":         {[]client.Object{shown("shop", "web", "w", boot.Add(-time.Hour))}, ""},
		"after":                    {[]client.Object{shown("kube-system", "coredns", "w", boot.Add(time.Minute))}, ""},
		"in the same second":       {[]client.Object{shown("kube-system", "etcd", "w", boot.Add(200*time.Millisecond))}, ""},
		"some seconds before":      {[]client.Object{shown("kube-system", "etcd", "w", boot.Add(-3*time.Second))}, "pod etcd"},
		"on another node":          {[]client.Object{shown("kube-system", "coredns", "v", boot.Add(-time.Minute))}, ""},
		"on a node not known":      {[]client.Object{shown("kube-system", "coredns", "gone", boot.Add(-time.Hour))}, ""},
		"on no node yet":           {[]client.Object{shown("kube-system", "coredns", "", boot.Add(-time.Hour))}, ""},
		"it waits":                 {[]client.Object{shown("kube-system", "coredns", "w", time.Time{})}, ""},
		"one of two, the other is": {[]client.Object{shown("kube-system", "a", "w", boot.Add(time.Minute)), shown("kube-system", "b", "w", boot.Add(-time.Hour))}, "pod b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := map[string]time.Time{"w": boot, "v": boot.Add(-time.Hour)}
			current, state, err := podsCurrent(t.Context(), kubetest.New(t, "west", test.pods...).Client, started)
			if err != nil || current != (test.want == "") || !strings.HasPrefix(state, test.want) || state == "" {
				t.Errorf("%v, %q, %v", current, state, err)
			}
		})
	}
	c := kubetest.New(t, "west")
	c.Fail("list", "PodList", "", errors.New("etcd is slow"), 0)
	if current, _, err := podsCurrent(t.Context(), c.Client, nil); current || err == nil {
		t.Errorf("what can not be read is current: %v", err)
	}
}

func node(ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "usmesh-west-control-plane"}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Message: "no network"}}}}
}

// TestLookAtACluster: whatever is not as it should be is work for `up`, but for what a cluster
// was made from.
func TestLookAtACluster(t *testing.T) {
	t.Parallel()
	const moved = "node usmesh-west-control-plane has 198.51.100.3, had 198.51.100.2"
	boot := time.Now()
	for name, test := range map[string]struct {
		status     cluster.Status
		objects    []client.Object
		action     graph.Action
		reason     string
		says, hint string
	}{
		"absent":        {status: cluster.Status{State: cluster.Absent}, action: graph.Create},
		"half-made":     {status: cluster.Status{State: cluster.HalfMade, Reason: "interrupted"}, action: graph.Replace, reason: "it was left half-made: interrupted"},
		"stopped":       {status: cluster.Status{State: cluster.Stopped, Reason: "container x is exited"}, action: graph.Update, reason: "it is stopped: container x is exited"},
		"paused":        {status: cluster.Status{State: cluster.Paused, Reason: "container x is paused"}, action: graph.Update, reason: "it is paused: container x is paused"},
		"impaired":      {status: cluster.Status{State: cluster.Impaired, Reason: "no route"}, action: graph.Update, reason: "it is impaired: no route"},
		"different":     {status: cluster.Status{State: cluster.Different, Reason: "podSubnet: a -> b"}, action: graph.Replace, reason: "it can not be changed in place: kind cluster usmesh-west is deleted with all that runs in it, and for east its services are gone until it is up again"},
		"moved":         {status: cluster.Status{State: cluster.Ready, Notes: []string{moved}}, action: graph.Update, reason: moved},
		"not ready":     {status: cluster.Status{State: cluster.Ready}, objects: []client.Object{node(corev1.ConditionFalse)}, action: graph.Update, reason: "no network"},
		"starting":      {status: cluster.Status{State: cluster.Ready, Started: map[string]time.Time{"w": boot}}, objects: []client.Object{node(corev1.ConditionTrue), shown("kube-system", "coredns", "w", boot.Add(-time.Hour))}, action: graph.Update, reason: "pod coredns is shown as it was"},
		"ready":         {status: cluster.Status{State: cluster.Ready, Started: map[string]time.Time{"w": boot}}, objects: []client.Object{node(corev1.ConditionTrue), shown("kube-system", "coredns", "w", boot.Add(time.Second))}, action: graph.None},
		"without nodes": {status: cluster.Status{State: cluster.Ready}, action: graph.Update, reason: "no node has registered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example).with(kubetest.New(t, "west", test.objects...))
			m.Provider = &hosted{status: test.status}
			change, err := m.lookCluster(t.Context(), "west")
			if test.says != "" {
				hinted(t, err, test.says, test.hint)
				return
			}
			if err != nil || change.Action != test.action || !strings.Contains(change.Reason, test.reason) {
				t.Errorf("%+v, %v", change, err)
			}
		})
	}
}

// TestStatusSaysWhatTheEngineKnows: what is stopped, paused or has moved is said in words, also
// where an API still answers.
func TestStatusSaysWhatTheEngineKnows(t *testing.T) {
	t.Parallel()
	notes := []string{"node usmesh-west-control-plane has 198.51.100.3, had 198.51.100.2"}
	engineless := errors.New("podman: cannot connect")
	for name, test := range map[string]struct {
		status  cluster.Status
		lookErr error
		names   []string
		answers bool
		state   string
		notes   []string
	}{
		"stopped":               {status: cluster.Status{State: cluster.Stopped, Reason: "container x is exited"}, names: []string{"usmesh-west"}, state: "stopped: container x is exited"},
		"paused":                {status: cluster.Status{State: cluster.Paused, Reason: "container x is paused"}, names: []string{"usmesh-west"}, state: "paused: container x is paused"},
		"half-made":             {status: cluster.Status{State: cluster.HalfMade, Reason: "interrupted"}, names: []string{"usmesh-west"}, state: "half-made: interrupted"},
		"stopped, and moved":    {status: cluster.Status{State: cluster.Stopped, Reason: "x", Notes: notes}, names: []string{"usmesh-west"}, state: "stopped: x", notes: notes},
		"absent":                {status: cluster.Status{State: cluster.Absent}, state: "absent"},
		"ready to the engine":   {status: cluster.Status{State: cluster.Ready}, names: []string{"usmesh-west"}, state: errNoKubeconfig.Error()},
		"the engine is silent":  {lookErr: engineless, names: []string{"usmesh-west"}, state: errNoKubeconfig.Error()},
		"answers":               {status: cluster.Status{State: cluster.Ready}, answers: true, state: "no node has registered"},
		"answers, and moved":    {status: cluster.Status{State: cluster.Ready, Notes: notes}, answers: true, state: "no node has registered", notes: notes},
		"answers, but impaired": {status: cluster.Status{State: cluster.Impaired, Reason: "no route to pods"}, answers: true, state: "impaired: no route to pods"},
		"answers, half paused":  {status: cluster.Status{State: cluster.Paused, Reason: "container y is paused"}, answers: true, state: "paused: container y is paused"},
		"answers, file changed": {status: cluster.Status{State: cluster.Different, Reason: "ports: a -> b", Notes: notes}, answers: true, state: "no node has registered",
			notes: append(slices.Clone(notes), "it was made otherwise than the file says now: ports: a -> b")},
		"answers, no engine": {lookErr: engineless, answers: true, state: "no node has registered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			if test.answers {
				m.with(versioned(t, kubetest.New(t, "west")))
			}
			m.Clusters, m.Provider = []string{"west"}, &hosted{status: test.status, lookErr: test.lookErr, names: test.names}
			s, err := m.Status(t.Context())
			if err != nil || len(s.Clusters) != 1 {
				t.Fatalf("%+v, %v", s, err)
			}
			if got := s.Clusters[0]; !strings.Contains(got.State, test.state) || !slices.Equal(got.Notes, test.notes) || s.Healthy() {
				t.Errorf("%q, notes %q", got.State, got.Notes)
			}
		})
	}
}
