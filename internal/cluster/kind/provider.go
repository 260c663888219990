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

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

// clusterLabel is what kind puts on the containers of a cluster, its name as the value.
const clusterLabel = "io.x-k8s.kind.cluster"

// Provider makes clusters with kind. It is safe for concurrent use on different clusters; its
// fields are set before the first use.
type Provider struct {
	// Dir is a folder of our own, 0700, for files that live for one command; empty means
	// the system's temporary folder.
	Dir string
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
}

var (
	_ cluster.Provider = (*Provider)(nil)
	_ cluster.Looker   = (*Provider)(nil)
)

// New returns a Provider whose clusters join the named container network, which carries the
// labels: those of our topology and owner.
func New(e cluster.Engine, f cluster.Facts, network string, labels map[string]string) *Provider {
	return &Provider{engine: e, facts: f, network: network, labels: labels,
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

// List names the clusters on our network, whole or not, in order. Without the network there
// are none; a network of that name that is not ours is an ErrForeign.
func (p *Provider) List(ctx context.Context) ([]string, error) {
	n, err := cluster.InspectNetwork(ctx, p.engine, p.network)
	if errors.Is(err, cluster.ErrNoNetwork) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !n.OwnedBy(p.labels) {
		return nil, fmt.Errorf("container network %s is %w", n.Name, cluster.ErrForeign)
	}
	containers, err := cluster.Containers(ctx, p.engine, "label="+clusterLabel, "network="+p.network)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range containers {
		names = append(names, c.Labels[clusterLabel])
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Ensure makes the cluster, starts it when it is stopped, or makes it again when it is
// half-made or dead. One that was made from another spec is refused: see Status.Differences.
func (p *Provider) Ensure(ctx context.Context, s cluster.Spec) error {
	return diag.Op(p.ensure(ctx, s), s.Name, "making the cluster")
}

func (p *Provider) ensure(ctx context.Context, s cluster.Spec) error {
	status, containers, err := p.look(ctx, s)
	if err != nil {
		return err
	}
	switch status.State {
	case cluster.Ready:
		return nil
	case cluster.Different:
		return diag.Hint(fmt.Errorf("it exists and differs from the topology: %s", status.Reason),
			"a cluster can not be changed in place: remove it with meshfed down, or write the old values into the topology")
	case cluster.Stopped:
		p.observe(ctx, s.Name, "starting: "+status.Reason)
		return p.start(ctx, s, containers)
	case cluster.HalfMade:
		p.observe(ctx, s.Name, "removing what is there: "+status.Reason)
	}
	// Volumes may be left even when no container is.
	if err := p.remove(ctx, s.Name); err != nil {
		return err
	}
	if err := p.makeAnew(ctx, s); err != nil {
		return err
	}
	return p.writeRecord(ctx, s)
}

// makeAnew makes a cluster where there is none.
func (p *Provider) makeAnew(ctx context.Context, s cluster.Spec) error {
	_, there, err := cluster.ImageLabels(ctx, p.engine, s.Image)
	if err != nil {
		return err
	}
	// kind would try to pull it, for half a minute.
	if !there && strings.HasPrefix(s.Image, "localhost/") {
		return diag.Hint(fmt.Errorf("%s does not have the node image %s, and no registry has it", p.engine.Name(), s.Image),
			"load it from an image bundle; meshfed bundle build makes one")
	}
	if !s.BridgeCNI {
		return p.create(ctx, s, func() {})
	}
	if len(nodeNames(s)) > 1 {
		if err := p.create(ctx, s, func() {}); err != nil {
			return err
		}
		p.observe(ctx, s.Name, "setting up pod networking")
		return p.bridge(ctx, s)
	}
	begun, networking := false, make(chan error, 1)
	err = p.create(ctx, s, func() {
		begun = true
		go func() { networking <- p.bridgeEarly(ctx, s) }()
	})
	if !begun {
		return err
	}
	if bridgeErr := <-networking; err == nil {
		err = bridgeErr
	}
	return err
}

// start starts the containers of a whole cluster and waits for its API.
func (p *Provider) start(ctx context.Context, s cluster.Spec, containers []cluster.Container) error {
	for _, c := range containers {
		if c.Running() {
			continue
		}
		if _, err := p.engine.Run(ctx, "start", c.Name); err != nil {
			return fmt.Errorf("starting container %s: %w", c.Name, err)
		}
	}
	if err := p.waitForAPI(ctx, s.Name); err != nil {
		return diag.Hint(err, "if it does not come back, meshfed down and meshfed up make it anew")
	}
	if !s.BridgeCNI || len(nodeNames(s)) == 1 {
		return nil
	}
	// The routes between the nodes were lost.
	return p.bridge(ctx, s)
}

// Delete removes the containers and volumes of a cluster at once. It does not need kind, and
// half-made, stopped and dead clusters are no different to it.
func (p *Provider) Delete(ctx context.Context, name string) error {
	if _, err := p.nodes(ctx, name); err != nil {
		return diag.Op(err, name, "removing the cluster")
	}
	return diag.Op(p.remove(ctx, name), name, "removing the cluster")
}

// CollectLogs lets kind write the nodes' logs to dir. The cluster must run.
func (p *Provider) CollectLogs(ctx context.Context, name, dir string) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = p.child(ctx, "logs", order{Spec: cluster.Spec{Name: name}, Dir: dir}, func(string) {})
	}
	return diag.Op(err, name, "collecting logs")
}
