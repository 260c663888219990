// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PodReady says whether a pod takes traffic: condition Ready, and not being deleted.
func PodReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// PodReason says in a few words why a pod is not ready: "ImagePullBackOff: ...",
// "CrashLoopBackOff after exit code 1", "Unschedulable: 0/1 nodes ...", or its phase.
func PodReason(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "being deleted"
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return words(condition.Reason, condition.Message)
		}
	}
	statuses := append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
	fallback := ""
	for i := range statuses {
		reason, telling := containerReason(&statuses[i])
		if telling {
			return reason
		}
		if fallback == "" {
			fallback = reason
		}
	}
	if fallback != "" {
		return fallback
	}
	return words(string(pod.Status.Phase), pod.Status.Message)
}

// containerReason says why a container is not ready; telling is false for what is normal
// while a pod starts.
func containerReason(s *corev1.ContainerStatus) (reason string, telling bool) {
	switch {
	case s.State.Waiting != nil:
		w := s.State.Waiting
		starting := w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" || w.Reason == ""
		if last := s.LastTerminationState.Terminated; last != nil {
			return fmt.Sprintf("%s after exit code %d%s", w.Reason, last.ExitCode, parenthesised(last.Reason, last.Message)), true
		}
		return words(w.Reason, w.Message), !starting
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		t := s.State.Terminated
		return fmt.Sprintf("%s ended with exit code %d%s", s.Name, t.ExitCode, parenthesised(t.Reason, t.Message)), true
	case s.State.Running != nil && !s.Ready && s.RestartCount > 0:
		return fmt.Sprintf("%s runs but is not ready, %d restarts", s.Name, s.RestartCount), true
	case s.State.Running != nil && !s.Ready:
		return s.Name + " runs but is not ready", false
	}
	return "", false
}

// mountFailure is the newest event that says which volume a pod waits for, or "".
func (c *Client) mountFailure(ctx context.Context, pod *corev1.Pod) string {
	var events corev1.EventList
	if err := c.List(ctx, &events, client.InNamespace(pod.Namespace)); err != nil {
		return ""
	}
	var newest *corev1.Event
	for i := range events.Items {
		e := &events.Items[i]
		if e.InvolvedObject.Name != pod.Name || e.InvolvedObject.UID != pod.UID {
			continue
		}
		if e.Reason != "FailedMount" && e.Reason != "FailedAttachVolume" && e.Reason != "FailedCreatePodSandBox" {
			continue
		}
		if newest == nil || newest.LastTimestamp.Before(&e.LastTimestamp) {
			newest = e
		}
	}
	if newest == nil {
		return ""
	}
	return words(newest.Reason, newest.Message)
}

// waitsForVolumes says whether a reason is the one under which failed mounts hide.
func waitsForVolumes(reason string) bool {
	return reason == "" || strings.HasPrefix(reason, "ContainerCreating") ||
		strings.HasPrefix(reason, "PodInitializing") || strings.HasPrefix(reason, string(corev1.PodPending))
}

func words(reason, message string) string {
	message = firstLine(message)
	switch {
	case reason == "":
		return message
	case message == "":
		return reason
	}
	return reason + ": " + message
}

func parenthesised(reason, message string) string {
	text := words(reason, message)
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
