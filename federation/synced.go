// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/istiod"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// syncInterval is the time between two looks of Synced, which costs a port-forward for each
// replica.
const syncInterval = 500 * time.Millisecond

// deafAfter is how long istiod gets to take up a remote secret before it counts as deaf: longer
// than its own PILOT_REMOTE_CLUSTER_TIMEOUT, 30 s, after which it gives up on a cluster.
const deafAfter = 45 * time.Second

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
	// DeafAfter is how long a secret may lie there without istiod knowing its cluster; 0 means
	// 45 s.
	DeafAfter time.Duration
	// Foreign says that the istiod is somebody else's: it is only looked at, never restarted.
	Foreign bool
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

// Do waits until Look would say none. It changes nothing but this: an istiod of ours that has not
// taken up a remote secret that lies there is restarted, once. istiod 1.31 reads its secrets one after
// the other, and hangs for good where a cluster goes while it is being replaced (secretcontroller
// in istio.io/istio: deleteCluster blocks in Client.Shutdown). The error says what was last seen.
func (s Synced) Do(ctx context.Context, _ graph.Change) error {
	deaf := s.DeafAfter
	if deaf == 0 {
		deaf = deafAfter
	}
	err := s.wait(ctx, deaf)
	if err != nil && ctx.Err() == nil {
		var ignored string
		if ignored, err = s.ignored(ctx); err == nil && ignored != "" && !s.Foreign {
			graph.State(ctx, "restarting istiod, which does not take up the remote secret of %s", ignored)
			err = restartIstiod(ctx, s.In, s.Revision)
		}
		if err == nil {
			err = s.wait(ctx, s.Deadline)
		}
	}
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	deployment := "deployment/istiod"
	if s.Revision != "" && s.Revision != topology.DefaultRevision {
		deployment += "-" + s.Revision
	}
	if s.Foreign {
		err = diag.Hint(err, "an istiod that does not take up a remote secret needs a restart, and this one is not ours to restart: "+
			s.In.Kubectl("-n "+topology.SystemNamespace+" rollout restart "+deployment))
	}
	return diag.Hint(diag.Op(err, s.In.Cluster, "waiting for discovery"),
		"istiod says why: "+s.In.Kubectl("-n "+topology.SystemNamespace+" logs "+deployment+" --since=5m"))
}

// wait waits for Look to say none, at most for a time; 0 means that only the context bounds it.
func (s Synced) wait(ctx context.Context, within time.Duration) error {
	if s.Deadline != 0 && within > s.Deadline {
		within = s.Deadline
	}
	return poll.Until(ctx, poll.Options{
		What:     fmt.Sprintf("istiod of %s to read %s", s.In.Cluster, strings.Join(s.Peers, ", ")),
		Interval: syncInterval,
		Deadline: within,
		Observe:  func(state string) { graph.State(ctx, "%s", state) },
	}, s.look)
}

// ignored names a peer whose remote secret is there and that a ready replica does not know.
func (s Synced) ignored(ctx context.Context) (string, error) {
	replicas, err := istiod.Replicas(ctx, s.In, s.Revision)
	if err != nil {
		return "", err
	}
	for _, r := range replicas {
		if !r.Ready {
			continue
		}
		clusters, err := istiod.Clusterz(ctx, s.In, r.Pod)
		if err != nil {
			return "", err
		}
		for _, peer := range s.Peers {
			if istiod.Knows(clusters, peer) {
				continue
			}
			var secret corev1.Secret
			err := s.In.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.RemoteSecretName(peer)}, &secret)
			if err == nil {
				return peer, nil
			}
			if !kube.Absent(err) {
				return "", s.In.Explain(err, "reading the remote secret of "+peer)
			}
		}
	}
	return "", nil
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
