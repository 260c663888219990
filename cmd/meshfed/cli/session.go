// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/kind"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// load reads the topology file; every problem is exit code 2.
func (a *app) load() (*topology.Topology, error) {
	t, err := a.read()
	if err != nil {
		return nil, err
	}
	if err := a.known(t, a.file); err != nil {
		return nil, err
	}
	if !a.quiet {
		for _, w := range t.Warnings {
			fmt.Fprintln(a.Err, "warning:", run.Redact(w.String()))
		}
	}
	return t, nil
}

// known refuses --clusters that are not there.
func (a *app) known(t *topology.Topology, where string) error {
	for _, name := range a.clusters {
		if t.Cluster(name) == nil {
			return usage(diag.Hint(fmt.Errorf("--clusters: there is no cluster %q in %s", name, where),
				"it has "+strings.Join(t.Names(), ", ")))
		}
	}
	return nil
}

// open makes what every command on live clusters works with, and changes nothing.
func (a *app) open(ctx context.Context) (*plan.Mesh, error) {
	t, err := a.load()
	if err != nil {
		return nil, err
	}
	return a.openFor(ctx, t)
}

// openAny is open, or, where contexts are given, the same for the mesh that is found behind them;
// passive finds it without reading a Secret.
func (a *app) openAny(ctx context.Context, contexts []string, passive bool) (*plan.Mesh, error) {
	if len(contexts) == 0 {
		return a.open(ctx)
	}
	running, err := plan.ReadContexts(ctx, contexts, passive)
	if err != nil {
		return nil, err
	}
	t, err := running.Topology(a.set...)
	if err != nil {
		return nil, err
	}
	a.topology = t
	if err := a.known(t, "the contexts"); err != nil {
		return nil, err
	}
	m, err := a.openFor(ctx, t)
	if err == nil && m.Owner == "" {
		// The probes are labelled with an owner; nobody is told of this one.
		m.Owner = cmp.Or(running.Owner(), state.NewOwner())
	}
	return m, err
}

// openFor is open for a topology that was read.
func (a *app) openFor(ctx context.Context, t *topology.Topology) (*plan.Mesh, error) {
	base := a.stateDir
	if base == "" {
		base = state.DefaultBase()
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, usage(fmt.Errorf("reading --state-dir: %w", err))
	}
	dir, err := state.Open(base, t.Metadata.Name)
	if err != nil {
		return nil, err
	}
	m := &plan.Mesh{Topology: t, State: dir, Clusters: a.clusters}
	recorded, err := dir.Engine()
	if err != nil {
		return nil, err
	}
	if plan.NeedsEngine(t) || recorded.Name != "" { // it may hold clusters that the file had before
		if err := a.findEngine(ctx, m); err != nil {
			return nil, err
		}
		if !t.OwnsNetwork() {
			m.FindOwner = func(ctx context.Context) (string, error) { return kind.FindOwner(ctx, m.Engine, t.Metadata.Name) }
		}
	}
	if _, err := m.RecoverOwner(ctx, false); err != nil {
		return nil, err
	}
	if m.Engine != nil {
		m.Provider = provider(m)
	}
	return m, nil
}

// provider makes and finds the clusters of a mesh whose engine and owner are known.
func provider(m *plan.Mesh) *kind.Provider {
	p := kind.New(m.Engine, m.Facts, m.Topology.NetworkName(), m.Labels())
	p.Shared, p.Dir = !m.Topology.OwnsNetwork(), m.State.Path
	return p
}

// engineAnswers bounds how long a container engine may take to say what it is and has.
const engineAnswers = 30 * time.Second

// findEngine uses the engine that an earlier `up` has used, else the host's. With the state
// directory lost the clusters may be on another engine than the one that is found first.
func (a *app) findEngine(ctx context.Context, m *plan.Mesh) error {
	bounded, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	err := a.askEngines(bounded, m)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return diag.Hint(fmt.Errorf("finding the container engine: no answer within %s: %w", engineAnswers, err),
			"`docker info` or `podman info` shows what is wrong with it")
	}
	return err
}

func (a *app) askEngines(ctx context.Context, m *plan.Mesh) error {
	recorded, err := m.State.Engine()
	if err != nil {
		return err
	}
	if m.Facts, err = cluster.Detect(ctx, recorded.Name); err != nil {
		return err
	}
	if err := m.Facts.Permitted(); err != nil {
		return err
	}
	m.Engine = cluster.Open(m.Facts, m.State.Path)
	if a.looksOnly {
		m.Engine = cluster.Moment(m.Engine)
	}
	if recorded.Name != "" {
		return sameEngine(m, recorded)
	}
	here, err := holds(ctx, m, m.Engine)
	if err != nil || here {
		return err
	}
	for _, other := range cluster.Engines() {
		if other == m.Facts.Engine {
			continue
		}
		facts, err := cluster.Detect(ctx, other)
		if err != nil || facts.Permitted() != nil {
			continue // not on this host
		}
		engine := cluster.Open(facts, m.State.Path)
		if there, err := holds(ctx, m, engine); err == nil && there {
			m.Facts, m.Engine = facts, engine
			m.Facts.Why = "the clusters are there"
		}
	}
	return nil
}

// holds says whether an engine has the topology's clusters.
func holds(ctx context.Context, m *plan.Mesh, e cluster.Engine) (bool, error) {
	if !m.Topology.OwnsNetwork() {
		owner, err := kind.FindOwner(ctx, e, m.Topology.Metadata.Name)
		return owner != "", err
	}
	_, err := cluster.InspectNetwork(ctx, e, m.Topology.NetworkName())
	if errors.Is(err, cluster.ErrNoNetwork) {
		return false, nil
	}
	return err == nil, err
}

// sameEngine refuses to look for a mesh where it is not: nothing of it would be found there,
// and a `down` would take that for an answer.
func sameEngine(m *plan.Mesh, recorded state.Engine) error {
	name := m.Topology.Metadata.Name
	forget := "; if what was there is gone for good, remove " + filepath.Join(m.State.Path, "engine.json")
	if recorded.ID != "" && m.Facts.EngineID != "" && recorded.ID != m.Facts.EngineID {
		return diag.Hint(fmt.Errorf("the clusters of %s are on another %s: it was %s, and this one is %s (%s)",
			name, recorded.Name, recorded.ID, m.Facts.EngineID, m.Facts.Why),
			"use the DOCKER_HOST or context that they were made with"+forget)
	}
	if recorded.Network != "" && recorded.Network != m.Topology.NetworkName() {
		return diag.Hint(fmt.Errorf("the clusters of %s are on container network %s, and the file says %s",
			name, recorded.Network, m.Topology.NetworkName()),
			"put the old spec.containerNetwork back; `meshfed down` with it, and `meshfed up` with the new one, moves the mesh"+forget)
	}
	return nil
}

// settle makes the host ready for clusters to be made or removed, says once what it adjusts,
// and gives the topology an owner id. Call it with the lock held, when nothing is to be
// refused any more.
func (a *app) settle(ctx context.Context, m *plan.Mesh, owner bool) error {
	if m.Engine == nil {
		if owner {
			return a.own(ctx, m)
		}
		return nil // every cluster is the user's own
	}
	var err error
	if m.Engine, err = cluster.Prepare(ctx, m.Facts, m.State.Path); err != nil {
		return err
	}
	if owner && !a.quiet {
		fmt.Fprintf(a.Err, "host: %s %s (%s)\n", m.Facts.Engine, m.Facts.EngineVersion, m.Facts.Why)
		for _, said := range m.Facts.Adjustments() {
			fmt.Fprintln(a.Err, "host:", said)
		}
		for _, advice := range m.Facts.Advice() {
			fmt.Fprintln(a.Err, "warning:", advice)
		}
	}
	if owner {
		if err := a.own(ctx, m); err != nil {
			return err
		}
	}
	p := provider(m)
	if owner {
		where := state.Engine{Name: m.Facts.Engine, ID: m.Facts.EngineID, Network: m.Topology.NetworkName()}
		if err := m.State.SetEngine(where); err != nil {
			return err
		}
	}
	m.Provider = p
	return nil
}

// own gives the topology an owner id, and records which clusters of the user's own it is about to
// write to.
func (a *app) own(ctx context.Context, m *plan.Mesh) error {
	if _, err := m.RecoverOwner(ctx, true); err != nil {
		return err
	}
	return m.KeepAccess(ctx)
}

// settleVersion decides which Istio is installed and says what is doubtful about it.
func (a *app) settleVersion(ctx context.Context, m *plan.Mesh) error {
	warnings, err := m.SettleVersion(ctx)
	if err != nil || a.quiet {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(a.Err, "warning:", warning)
	}
	return nil
}

// chooseImages decides where images come from: the bundle that is named, or was named last
// time; a mirror that the topology names; else the bundle that `bundle build` or `bundle pull`
// has left; else the registries in which images are published. Nothing is asked of any registry
// yet.
func (a *app) chooseImages(m *plan.Mesh, dir string) error {
	if dir == "" {
		last, err := m.State.Bundle()
		if err != nil {
			return err
		}
		if _, serr := os.Stat(filepath.Join(last, "bundle.json")); last != "" && serr == nil {
			dir = last
		}
	}
	if dir == "" && m.Topology.Spec.Images.Mirror != "" {
		m.Pull = true
		return nil
	}
	named := dir != ""
	if !named && !plan.NeedsEngine(m.Topology) {
		// Clusters of the user's own pull their images themselves, whatever lies on this host.
		m.Pull = true
		return nil
	}
	if !named {
		dir = bundle.DefaultDir()
	}
	b, err := bundle.Open(dir)
	if !named && errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(filepath.Join(dir, "bundle.json")); errors.Is(serr, fs.ErrNotExist) {
			m.Pull = true
			return nil
		}
	}
	m.Bundle = b
	return err
}

// saySource names in one line where the images of clusters that are to be made come from.
func (a *app) saySource(m *plan.Mesh) {
	switch {
	case a.quiet:
	case m.Bundle != nil:
		fmt.Fprintf(a.Err, "images: bundle %s\n", m.Bundle.Dir)
	case m.Registry != nil:
		fmt.Fprintf(a.Err, "images: nodes pull them (%s)\n", m.ImagesFrom())
	}
}
