// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

func rolledOut(ready int32) *appsv1.Deployment {
	one := int32(1)
	d := deployment("a", "100m", &one)
	d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: ready, AvailableReplicas: ready}
	return d
}

func podWith(status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "d-1", Namespace: "n", UID: "u1", Labels: map[string]string{"app": "d"}},
		Status:     status,
	}
}

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func TestDeploymentState(t *testing.T) {
	t.Parallel()
	crashed := waiting("CrashLoopBackOff", "back-off 10s")
	crashed.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "no CA\nmore"}
	none := rolledOut(0)
	none.Spec.Replicas, none.Status.Replicas, none.Status.UpdatedReplicas = new(int32), 0, 0
	unseen := rolledOut(1)
	unseen.Generation = 2
	refused := rolledOut(0)
	refused.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "pods are forbidden: quota"}}
	mount := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "n"}, Reason: "FailedMount",
		Message:        `MountVolume.SetUp failed for volume "istiod-ca-cert": configmap "istio-ca-root-cert" not found`,
		InvolvedObject: corev1.ObjectReference{Name: "d-1", UID: "u1"},
	}
	for name, tc := range map[string]struct {
		objs  []client.Object
		ready bool
		state string
	}{
		"absent":   {state: "not there"},
		"ready":    {objs: []client.Object{rolledOut(1)}, ready: true, state: "1/1 ready"},
		"none":     {objs: []client.Object{none}, state: "0/0 ready: scaled to 0"},
		"unseen":   {objs: []client.Object{unseen}, state: "1/1 ready: not seen by its controller yet"},
		"refused":  {objs: []client.Object{refused}, state: "0/1 ready: pods are forbidden: quota"},
		"no pods":  {objs: []client.Object{rolledOut(0)}, state: "0/1 ready: no pods yet"},
		"image":    {objs: []client.Object{rolledOut(0), podWith(waiting("ImagePullBackOff", `Back-off pulling image "x"`))}, state: `0/1 ready: d-1: ImagePullBackOff: Back-off pulling image "x"`},
		"crash":    {objs: []client.Object{rolledOut(0), podWith(crashed)}, state: "0/1 ready: d-1: CrashLoopBackOff after exit code 1 (Error: no CA)"},
		"mount":    {objs: []client.Object{rolledOut(0), podWith(waiting("ContainerCreating", "")), mount}, state: `0/1 ready: d-1: FailedMount: ` + mount.Message},
		"creating": {objs: []client.Object{rolledOut(0), podWith(waiting("ContainerCreating", ""))}, state: "0/1 ready: d-1: ContainerCreating"},
		"unschedulable": {objs: []client.Object{rolledOut(0), podWith(corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: 1 Insufficient cpu."}}})},
			state: "0/1 ready: d-1: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", tc.objs...)
			ready, state, err := c.DeploymentState(context.Background(), "n", "d")
			if err != nil || ready != tc.ready || state != tc.state {
				t.Errorf("got %v, %q, %v; want %v, %q", ready, state, err, tc.ready, tc.state)
			}
		})
	}
}

func TestDaemonSetState(t *testing.T) {
	t.Parallel()
	ds := func(want, ready int32) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"},
			Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "d"}}},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: want, NumberReady: ready, NumberAvailable: ready,
				UpdatedNumberScheduled: want},
		}
	}
	for _, tc := range []struct {
		obj   *appsv1.DaemonSet
		ready bool
		state string
	}{
		{ds(2, 2), true, "2/2 ready"},
		{ds(2, 1), false, "1/2 ready: no pods yet"},
	} {
		c := kubetest.New(t, "west", tc.obj)
		ready, state, err := c.DaemonSetState(context.Background(), "n", "s")
		if err != nil || ready != tc.ready || state != tc.state {
			t.Errorf("got %v, %q, %v; want %v, %q", ready, state, err, tc.ready, tc.state)
		}
	}
}

func TestStateWithoutRightsToReadPods(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west", rolledOut(0))
	c.Fail("list", "", "", errors.New("forbidden"), 0)
	ready, state, err := c.DeploymentState(context.Background(), "n", "d")
	if ready || state != "0/1 ready" || err != nil {
		t.Errorf("got %v, %q, %v", ready, state, err)
	}
}
