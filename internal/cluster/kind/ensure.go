// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// Ensure makes the cluster, starts it when it is stopped or paused, mends what a restart took
// from it, or makes it again when it is half-made or dead. One that was made from another spec
// is refused: see Status.Differences.
func (p *Provider) Ensure(ctx context.Context, s cluster.Spec) error {
	return diag.Op(p.ensure(ctx, s), s.Name, "making the cluster")
}

func (p *Provider) ensure(ctx context.Context, s cluster.Spec) error {
	if err := check(s); err != nil {
		return err
	}
	f, err := p.look(ctx, s)
	if err == nil && f.status.State == cluster.Paused {
		f, err = p.unpause(ctx, s, f)
	}
	if err != nil {
		return err
	}
	switch f.status.State {
	case cluster.Ready:
		return p.keep(ctx, s, f)
	case cluster.Different:
		return diag.Hint(fmt.Errorf("it exists and differs from the topology: %s", f.status.Reason),
			"a cluster can not be changed in place: remove it with meshfed down, or write the old values into the topology")
	case cluster.Stopped, cluster.Impaired:
		p.observe(ctx, s.Name, "starting: "+f.status.Reason)
		return p.start(ctx, s, f)
	case cluster.HalfMade:
		p.observe(ctx, s.Name, "removing what is there: "+f.status.Reason)
	}
	// Volumes may be left even when no container is.
	if err := p.remove(ctx, s.Name); err != nil {
		return err
	}
	return p.makeOnFreePorts(ctx, s)
}

// check refuses a spec that kind could not make, before anything is made.
func check(s cluster.Spec) error {
	var errs []error
	for i, patch := range s.Patches {
		if _, err := topology.PatchTarget(patch); err != nil {
			errs = append(errs, diag.Hint(fmt.Errorf("patches[%d] is no patch: %w", i, err),
				"write one kubeadm document in YAML, with its kind, or a part of containerd's configuration in TOML"))
		}
	}
	if n := len(controlPlanes(s)); n != 1 {
		errs = append(errs, diag.Hint(fmt.Errorf("it has %d control-plane nodes instead of one", n), "give the other nodes the role worker"))
	}
	for _, r := range s.Registries {
		if _, err := hostsFile(r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	if err := p.mayJoin(ctx); err != nil {
		return err
	}
	if err := p.intend(s.Name, nil); err != nil {
		return err
	}
	begun, early := false, make(chan error, 1)
	err = p.create(ctx, s, func() {
		begun = true
		go func() { early <- p.early(ctx, s) }()
	})
	err = p.facts.Explain(err)
	if begun {
		if earlyErr := <-early; err == nil {
			err = earlyErr
		}
	}
	if err != nil && !begun {
		err = errors.Join(err, p.disown(ctx, s.Name))
	}
	if err != nil {
		return err
	}
	return p.finish(ctx, record{Labels: p.labels, Spec: s})
}

// mayJoin refuses a shared network that does not exist: kind would make it. That is for the one
// called kind only, which is made like that on every host.
func (p *Provider) mayJoin(ctx context.Context) error {
	if !p.Shared || p.network == "kind" {
		return nil
	}
	_, err := cluster.InspectNetwork(ctx, p.engine, p.network)
	if errors.Is(err, cluster.ErrNoNetwork) {
		err = diag.Hint(err, "make the network that spec.containerNetwork names, or leave it out: the topology then gets one of its own")
	}
	return err
}

// early does what must be done before Kubernetes starts in the nodes, whose containers run.
func (p *Provider) early(ctx context.Context, s cluster.Spec) error {
	var network error
	if s.BridgeCNI && !routed(s) {
		network = p.bridgeEarly(ctx, s)
	}
	return errors.Join(network, p.reachable(ctx, s.Name), p.writeRegistries(ctx, s), p.noteContainers(ctx, s.Name))
}

// reachable makes sure that the ports of this host lead to the cluster's containers, and not to
// those that a killed process had on the same ports.
func (p *Provider) reachable(ctx context.Context, name string) error {
	list, err := p.nodes(ctx, name)
	if err != nil {
		return err
	}
	var ports []int
	for _, c := range list {
		for _, host := range c.Ports {
			ports = append(ports, host)
		}
	}
	return cluster.DropStaleRedirects(ctx, p.engine, ports)
}

// finish gives a cluster whose API answers what its nodes need of each other, and records it
// as whole together with the addresses that its nodes have now.
func (p *Provider) finish(ctx context.Context, r record) error {
	list, err := p.nodes(ctx, r.Spec.Name)
	if err != nil {
		return err
	}
	if err := p.reachable(ctx, r.Spec.Name); err != nil {
		return err
	}
	r.Nodes = map[string]nodeRecord{}
	for _, c := range list {
		r.Nodes[c.Name] = nodeRecord{Address: c.Networks[p.network]}
	}
	if routed(r.Spec) {
		p.observe(ctx, r.Spec.Name, "setting up pod networking")
		if err := p.bridge(ctx, r); err != nil {
			return err
		}
	}
	return p.writeRecord(ctx, r)
}

// keep brings a cluster that is ready up to date in what can be changed, and its record.
func (p *Provider) keep(ctx context.Context, s cluster.Spec, f found) error {
	same := len(s.Registries) == 0 || slices.Equal(s.Registries, f.record.Spec.Registries)
	if same && len(f.status.Notes) == 0 {
		return nil
	}
	r, err := p.adopt(ctx, s, f.record)
	if err != nil {
		return err
	}
	return p.finish(ctx, r)
}

// adopt takes over from the spec what can be changed in a cluster that exists. All else is as
// recorded: whoever only starts a cluster need not know what image it was made from.
func (p *Provider) adopt(ctx context.Context, s cluster.Spec, r record) (record, error) {
	if len(s.Registries) > 0 {
		r.Spec.Registries = s.Registries
	}
	return r, p.writeRegistries(ctx, r.Spec)
}

// unpause lets frozen containers run on, and looks again.
func (p *Provider) unpause(ctx context.Context, s cluster.Spec, f found) (found, error) {
	p.observe(ctx, s.Name, "letting it run on: "+f.status.Reason)
	for _, c := range f.containers {
		if c.State != paused {
			continue
		}
		if _, err := p.engine.Run(ctx, "unpause", c.Name); err != nil {
			return f, fmt.Errorf("letting container %s run on: %w", c.Name, err)
		}
	}
	f, err := p.look(ctx, s)
	if err == nil && f.status.State == cluster.Paused {
		err = errors.New("it is paused again by someone else: " + f.status.Reason)
	}
	return f, err
}

// start starts the containers of a whole cluster, the control plane first, waits for its API
// and mends what their new addresses have broken.
func (p *Provider) start(ctx context.Context, s cluster.Spec, f found) error {
	slices.SortStableFunc(f.containers, func(a, b cluster.Container) int { return rank(s.Name, a) - rank(s.Name, b) })
	for _, c := range f.containers {
		if c.Running() {
			continue
		}
		if _, err := p.engine.Run(ctx, "start", c.Name); err != nil {
			err = fmt.Errorf("starting container %s: %w", c.Name, reasoned(err))
			if portTaken(err) {
				err = diag.Hint(err, "another program listens on a port of the cluster: stop it and run meshfed up again")
			}
			return err
		}
	}
	if err := p.reachable(ctx, s.Name); err != nil {
		return err
	}
	p.keepAnnouncing(ctx, f.containers)
	if err := p.waitForAPI(ctx, s.Name); err != nil {
		return diag.Hint(err, "if it does not come back, meshfed down and meshfed up make it anew")
	}
	if err := p.settle(ctx, s.Name); err != nil {
		return err
	}
	r, err := p.adopt(ctx, s, f.record)
	if err != nil {
		return err
	}
	list, err := p.nodes(ctx, s.Name)
	if err != nil {
		return err
	}
	for _, note := range moved(r, list, p.network) {
		p.observe(ctx, s.Name, note)
	}
	return p.finish(ctx, r)
}

// rank puts the control plane before all other nodes.
func rank(name string, c cluster.Container) int {
	if isControlPlane(name, c.Name) {
		return 0
	}
	return 1
}
