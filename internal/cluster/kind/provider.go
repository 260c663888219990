// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

// clusterLabel is what kind puts on the containers of a cluster, its name as the value.
const clusterLabel = "io.x-k8s.kind.cluster"

// Provider makes clusters with kind. It is safe for concurrent use on different clusters; its
// fields are set before the first use.
type Provider struct {
	// Dir is a folder of our own, 0700, for files that live for one command and, on a shared
	// network, for what proves that a half-made cluster is ours; empty means the system's
	// temporary folder for the first and no proof for the second.
	Dir string
	// Shared says that the network is not ours alone, as the one called kind: clusters of
	// others may be on it, with whatever names.
	Shared bool
	// Observe is told each step of a cluster that is being made; graph.State, which makes it
	// the state of the running step, unless changed.
	Observe func(ctx context.Context, cluster, state string)
	// Log is told each line of the debug log; nil for nobody. Clusters that are made side by
	// side call it at the same time.
	Log func(line string)
	// Command is what runs ChildMain when it gets ChildArgument and more as arguments; empty
	// means this program.
	Command []string

	engine  cluster.Engine
	facts   cluster.Facts
	network string
	labels  map[string]string
	// execTime is the constant, but in tests.
	execTime time.Duration

	mu sync.Mutex
	// taken are host ports of clusters that are being made at this moment.
	taken map[int]bool
}

var (
	_ cluster.Provider = (*Provider)(nil)
	_ cluster.Looker   = (*Provider)(nil)
)

// New returns a Provider whose clusters join the named container network. labels are those of
// our topology and owner; the network carries them too unless it is Shared.
func New(e cluster.Engine, f cluster.Facts, network string, labels map[string]string) *Provider {
	return &Provider{engine: e, facts: f, network: network, labels: labels, execTime: execTime, taken: map[int]bool{},
		Observe: func(ctx context.Context, _, state string) { graph.State(ctx, "%s", state) }}
}

func (p *Provider) observe(ctx context.Context, name, state string) {
	p.log("cluster " + name + ": " + state)
	if p.Observe != nil {
		p.Observe(ctx, name, state)
	}
}

func (p *Provider) log(line string) {
	if p.Log != nil {
		p.Log(line)
	}
}

// List names our clusters on the network, whole or not, in order. Without the network there
// are none; a network of that name that is not ours, and is not said to be shared, is an
// ErrForeign. On a shared network clusters of others are left out.
func (p *Provider) List(ctx context.Context) ([]string, error) {
	n, err := cluster.InspectNetwork(ctx, p.engine, p.network)
	if errors.Is(err, cluster.ErrNoNetwork) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !p.Shared && !n.OwnedBy(p.labels) {
		return nil, fmt.Errorf("container network %s is %w", n.Name, cluster.ErrForeign)
	}
	containers, err := cluster.Containers(ctx, p.engine, "label="+clusterLabel, "network="+p.network)
	if err != nil {
		return nil, err
	}
	if p.Shared {
		return p.ownOf(ctx, containers)
	}
	var names []string
	for _, c := range containers {
		names = append(names, c.Labels[clusterLabel])
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ownOf names the clusters of a shared network that are proven ours.
func (p *Provider) ownOf(ctx context.Context, containers []cluster.Container) ([]string, error) {
	clusters := map[string][]cluster.Container{}
	for _, c := range containers {
		name := c.Labels[clusterLabel]
		if strings.HasPrefix(name, p.labels[topology.LabelTopology]+"-") {
			clusters[name] = append(clusters[name], c)
		}
	}
	var names []string
	for name, list := range clusters {
		ours, err := p.proven(ctx, name, list)
		if err != nil {
			return nil, err
		}
		if ours {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Delete removes the containers and volumes of a cluster at once. It does not need kind, and
// half-made, stopped and dead clusters are no different to it.
func (p *Provider) Delete(ctx context.Context, name string) error {
	return diag.Op(p.remove(ctx, name), name, "removing the cluster")
}

// logTime bounds the collecting of logs: a node that is in trouble may never answer.
const logTime = 5 * time.Minute

// CollectLogs lets kind write the nodes' logs to dir. The cluster must run.
func (p *Provider) CollectLogs(ctx context.Context, name, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = p.child(ctx, "logs", order{Spec: cluster.Spec{Name: name}, Facts: p.facts, Dir: dir}, func(string) {})
	}
	return diag.Op(err, name, "collecting logs")
}
