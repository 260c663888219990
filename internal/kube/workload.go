// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pods lists the pods of a namespace that carry all the labels, in the API server's order;
// pods that are being deleted are in the list.
func (c *Client) Pods(ctx context.Context, ns string, labels map[string]string) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(ns), client.MatchingLabels(labels)); err != nil {
		return nil, c.Explain(err, "listing pods in "+ns)
	}
	return list.Items, nil
}

// DeploymentState says whether a Deployment's current generation is rolled out completely,
// and in words how far it is: "2/2 ready", "0/1 ready: istiod-x: ImagePullBackOff: ...",
// "not there". One that is scaled to 0 serves nobody, so it is not ready. It looks once and
// does not block.
func (c *Client) DeploymentState(ctx context.Context, ns, name string) (ready bool, state string, err error) {
	var d appsv1.Deployment
	err = c.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &d)
	if Absent(err) {
		return false, "not there", nil
	}
	if err != nil {
		return false, "", c.Explain(err, "reading Deployment "+ns+"/"+name)
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	state = fmt.Sprintf("%d/%d ready", s.ReadyReplicas, want)
	if want == 0 {
		return false, state + ": scaled to 0", nil
	}
	if s.ObservedGeneration < d.Generation {
		return false, state + ": not seen by its controller yet", nil
	}
	if s.UpdatedReplicas >= want && s.AvailableReplicas >= want && s.Replicas == s.UpdatedReplicas {
		return true, state, nil
	}
	for _, condition := range s.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return false, state + ": " + firstLine(condition.Message), nil
		}
	}
	return false, c.withReasons(ctx, state, ns, d.Spec.Selector), nil
}

// DaemonSetState is DeploymentState for a DaemonSet. One that no node wants is ready, as
// "0/0 ready".
func (c *Client) DaemonSetState(ctx context.Context, ns, name string) (ready bool, state string, err error) {
	var d appsv1.DaemonSet
	err = c.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &d)
	if Absent(err) {
		return false, "not there", nil
	}
	if err != nil {
		return false, "", c.Explain(err, "reading DaemonSet "+ns+"/"+name)
	}
	s := d.Status
	want := s.DesiredNumberScheduled
	state = fmt.Sprintf("%d/%d ready", s.NumberReady, want)
	if s.ObservedGeneration < d.Generation {
		return false, state + ": not seen by its controller yet", nil
	}
	if s.UpdatedNumberScheduled >= want && s.NumberAvailable >= want {
		return true, state, nil
	}
	return false, c.withReasons(ctx, state, ns, d.Spec.Selector), nil
}

// withReasons adds to a state why pods are not ready. That is best effort: without rights to
// read pods the state stays as it is.
func (c *Client) withReasons(ctx context.Context, state, ns string, selector *metav1.LabelSelector) string {
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || match.Empty() {
		return state
	}
	if reason := c.reasons(ctx, ns, match); reason != "" {
		return state + ": " + reason
	}
	return state
}

func (c *Client) reasons(ctx context.Context, ns string, match labels.Selector) string {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(ns), client.MatchingLabelsSelector{Selector: match}); err != nil {
		return ""
	}
	if len(list.Items) == 0 {
		return "no pods yet"
	}
	for i := range list.Items {
		pod := &list.Items[i]
		if PodReady(pod) {
			continue
		}
		reason := PodReason(pod)
		if event := c.mountFailure(ctx, pod); event != "" && waitsForVolumes(reason) {
			reason = event
		}
		return pod.Name + ": " + reason
	}
	return ""
}
