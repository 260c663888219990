// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// restartIstiod deletes istiod's pods, of one revision unless it is empty, and blocks until they
// are gone: their Deployment makes new ones.
func restartIstiod(ctx context.Context, c *kube.Client, revision string) error {
	// The labels are those of the istiod chart (templates/deployment.yaml).
	labels := map[string]string{"app": "istiod"}
	if revision != "" {
		labels[topology.LabelRevision] = revision
	}
	old, err := c.Pods(ctx, topology.SystemNamespace, labels)
	if err != nil {
		return err
	}
	for i := range old {
		if err := c.Remove(ctx, &old[i]); err != nil {
			return err
		}
	}
	return poll.Until(ctx, poll.Options{What: "istiod to end in " + c.Cluster, Interval: tryInterval, Deadline: tryDeadline},
		func(ctx context.Context) (bool, string, error) {
			now, err := c.Pods(ctx, topology.SystemNamespace, labels)
			for i := range now {
				if slices.ContainsFunc(old, func(p corev1.Pod) bool { return p.UID == now[i].UID }) {
					return false, now[i].Name + " is still there", err
				}
			}
			return err == nil, "", err
		})
}
