// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// work is something that is looked at and done on this host.
type work interface {
	Look(context.Context) (graph.Change, error)
	Do(context.Context, graph.Change) error
}

// part is something that is looked at and done in one cluster.
type part interface {
	Look(context.Context, *kube.Client) (graph.Change, error)
	Do(context.Context, *kube.Client, graph.Change) error
}

// step makes a step of work on this host.
func (m *Mesh) step(id, title string, timeout, expected time.Duration, w work, needs ...string) graph.Step {
	return graph.Step{ID: id, Title: title, Needs: needs, Timeout: timeout, Expected: expected, Look: w.Look, Do: w.Do}
}

// on makes a step of a part of one cluster. Before the cluster exists the part is to be
// created.
func (m *Mesh) on(cluster, id, title string, timeout, expected time.Duration, p part, needs ...string) graph.Step {
	return graph.Step{
		ID: id, Cluster: cluster, Title: title, Needs: needs, Timeout: timeout, Expected: expected,
		Look: func(ctx context.Context) (graph.Change, error) {
			c, err := m.Client(ctx, cluster)
			if errors.Is(err, ErrNoCluster) {
				return graph.Change{Action: graph.Create, Reason: "the cluster does not exist yet"}, nil
			}
			if err != nil {
				return graph.Change{}, err
			}
			change, err := p.Look(ctx, c)
			return change, diag.Op(err, cluster, "looking at "+title)
		},
		Do: func(ctx context.Context, change graph.Change) error {
			c, err := m.Client(ctx, cluster)
			if err != nil {
				return err
			}
			return diag.Op(p.Do(ctx, c, change), cluster, "making "+title)
		},
	}
}

// between makes a step of the first cluster of a pair that needs the second. The part is
// made anew each time, because it holds a client of the second.
func (m *Mesh) between(pair topology.Pair, id, title string, timeout, expected time.Duration,
	make func(ctx context.Context, pair topology.Pair, peer *kube.Client) (part, error), needs ...string) graph.Step {
	resolve := func(ctx context.Context) (part, error) {
		peer, err := m.Client(ctx, pair.To)
		if err != nil {
			return nil, err
		}
		return make(ctx, pair, peer)
	}
	return m.on(pair.From, id, title, timeout, expected, lazy{resolve}, needs...)
}

// lazy is a part that is made when it is used.
type lazy struct {
	resolve func(context.Context) (part, error)
}

func (l lazy) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	p, err := l.resolve(ctx)
	if errors.Is(err, ErrNoCluster) {
		return graph.Change{Action: graph.Create, Reason: "the other cluster does not exist yet"}, nil
	}
	if err != nil {
		return graph.Change{}, err
	}
	return p.Look(ctx, c)
}

func (l lazy) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	p, err := l.resolve(ctx)
	if err != nil {
		return err
	}
	return p.Do(ctx, c, change)
}

// selected says whether a cluster of the file is among Selected.
func (m *Mesh) selected(cluster string) bool {
	return len(m.Clusters) == 0 || slices.Contains(m.Clusters, cluster)
}
