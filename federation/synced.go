// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/istiod"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
)

// syncInterval is the time between two looks of Synced, which costs a port-forward for each
// replica.
const syncInterval = 500 * time.Millisecond

// Synced holds when every replica of a cluster's istiod has read every peer.
type Synced struct {
	// In is the cluster whose istiod is asked.
	In *kube.Client
	// Revision of that istiod; empty means default.
	Revision string
	// Peers are the clusters that it shall have read.
	Peers []string
	// Deadline bounds Do; 0 means that only the context does.
	Deadline time.Duration
}

// Look asks every replica once. Create means that something is to be waited for, and the
// reason says for what: "istiod-abc: east is syncing".
func (s Synced) Look(ctx context.Context) (graph.Change, error) {
	done, state, err := s.look(ctx)
	switch {
	case err != nil:
		return graph.Change{Action: graph.Unknown}, err
	case !done:
		return graph.Change{Action: graph.Create, Reason: state}, nil
	}
	return graph.Change{Action: graph.None, Reason: state}, nil
}

// Do waits until Look would say none; it changes nothing. The error says what was last seen.
func (s Synced) Do(ctx context.Context, _ graph.Change) error {
	err := poll.Until(ctx, poll.Options{
		What:     fmt.Sprintf("istiod of %s to read %s", s.In.Cluster, strings.Join(s.Peers, ", ")),
		Interval: syncInterval,
		Deadline: s.Deadline,
		Observe:  func(state string) { graph.State(ctx, "%s", state) },
	}, s.look)
	if err == nil || ctx.Err() != nil {
		return err
	}
	deployment := "deployment/istiod"
	if s.Revision != "" && s.Revision != "default" {
		deployment += "-" + s.Revision
	}
	return diag.Hint(diag.Op(err, s.In.Cluster, "waiting for discovery"),
		"istiod says why: "+s.In.Kubectl("-n istio-system logs "+deployment+" --since=5m"))
}

func (s Synced) look(ctx context.Context) (done bool, state string, err error) {
	if len(s.Peers) == 0 {
		return true, "no peers", nil
	}
	replicas, err := istiod.Replicas(ctx, s.In, s.Revision)
	if err != nil {
		return false, "", err
	}
	if len(replicas) == 0 {
		return false, "istiod is not there", nil
	}
	for _, r := range replicas {
		if !r.Ready {
			return false, r.Pod + " is not ready: " + r.Reason, nil
		}
		clusters, err := istiod.Clusterz(ctx, s.In, r.Pod)
		if err != nil {
			return false, "", err
		}
		if missing := istiod.Missing(clusters, s.Peers); missing != "" {
			return false, r.Pod + ": " + missing, nil
		}
	}
	return true, fmt.Sprintf("%d of %d replicas have read %s", len(replicas), len(replicas), strings.Join(s.Peers, ", ")), nil
}
