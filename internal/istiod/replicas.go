// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package istiod

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// DebugPort is istiod's monitoring port, which serves the debug pages too.
const DebugPort = 15014

// Replica is one pod of istiod.
type Replica struct {
	// Pod is its name in topology.SystemNamespace.
	Pod string
	// Ready is the pod's own readiness.
	Ready bool
	// Reason says why it is not ready, in words.
	Reason string
}

// Replicas lists the pods of a revision of istiod that run or shall run, by name; those that are
// being deleted or have ended are left out. The revision is that of the label istio.io/rev, empty
// for default. No istiod is an empty list.
func Replicas(ctx context.Context, c *kube.Client, revision string) ([]Replica, error) {
	pods, err := c.Pods(ctx, topology.SystemNamespace, map[string]string{"app": "istiod"})
	if err != nil {
		return nil, err
	}
	var replicas []Replica
	for i := range pods {
		pod := &pods[i]
		if !Of(pod, revision) || pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		r := Replica{Pod: pod.Name, Ready: kube.PodReady(pod)}
		if !r.Ready {
			r.Reason = kube.PodReason(pod)
		}
		replicas = append(replicas, r)
	}
	slices.SortFunc(replicas, func(a, b Replica) int { return strings.Compare(a.Pod, b.Pod) })
	return replicas, nil
}

// Of says whether a pod of istiod is of a revision. Istio's chart calls that without a name default.
func Of(pod *corev1.Pod, revision string) bool {
	return topology.RevisionOf(pod.Labels) == cmp.Or(revision, topology.DefaultRevision)
}

// Get asks one replica for a debug page, for example "/debug/syncz".
func Get(ctx context.Context, c *kube.Client, pod, path string) ([]byte, error) {
	return c.PodHTTP(ctx, topology.SystemNamespace, pod, DebugPort, http.MethodGet, path, nil)
}

// Clusterz asks one replica which clusters it reads and how far it is.
func Clusterz(ctx context.Context, c *kube.Client, pod string) ([]RemoteCluster, error) {
	data, err := Get(ctx, c, pod, "/debug/clusterz")
	if err != nil {
		return nil, err
	}
	clusters, err := ParseClusterz(data)
	if err != nil {
		return nil, c.Explain(err, "asking "+pod+" for its clusters")
	}
	return clusters, nil
}
