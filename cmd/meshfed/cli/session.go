// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
	t, err := topology.Load(a.file, a.set...)
	if _, serr := os.Stat(a.file); err != nil && errors.Is(serr, fs.ErrNotExist) {
		err = diag.Hint(err, "name the file with -f; examples/two-clusters/topology.yaml is a small one")
	}
	if err != nil {
		return nil, usage(err)
	}
	for _, name := range a.clusters {
		if t.Cluster(name) == nil {
			return nil, usage(diag.Hint(fmt.Errorf("--clusters: there is no cluster %q in %s", name, a.file),
				"it has "+strings.Join(t.Names(), ", ")))
		}
	}
	if !a.quiet {
		for _, w := range t.Warnings {
			fmt.Fprintln(a.Err, "warning:", run.Redact(w.String()))
		}
	}
	return t, nil
}

// open makes what every command on live clusters works with, and changes nothing.
func (a *app) open(ctx context.Context) (*plan.Mesh, error) {
	t, err := a.load()
	if err != nil {
		return nil, err
	}
	base := a.stateDir
	if base == "" {
		base = state.DefaultBase()
	}
	base, err = filepath.Abs(base)
	if err != nil {
		return nil, usage(fmt.Errorf("reading --state-dir: %w", err))
	}
	dir, err := state.Open(base, t.Metadata.Name)
	if err != nil {
		return nil, err
	}
	m := &plan.Mesh{Topology: t, State: dir, Clusters: a.clusters}
	if m.Facts, err = cluster.Detect(ctx); err != nil {
		return nil, err
	}
	if !m.Facts.Root {
		return nil, diag.Hint(errors.New("clusters belong to root in this release"), "run the same command with sudo")
	}
	m.Engine = engine(dir)
	if _, err := m.RecoverOwner(ctx, false); err != nil {
		return nil, err
	}
	m.Provider = kind.New(m.Engine, m.Facts, t.NetworkName(), m.Labels())
	return m, nil
}

// engine drives the engine as an earlier `up` has prepared it, or as the host has it.
func engine(dir state.Dir) cluster.Engine {
	config := filepath.Join(dir.Path, "containers.conf")
	if _, err := os.Stat(config); err != nil || os.Getenv("CONTAINERS_CONF") != "" {
		return cluster.Podman{}
	}
	return cluster.Podman{Config: config}
}

// settle makes the host ready for clusters to be made or removed, says once what it adjusts,
// and gives the topology an owner id. Call it with the lock held, when nothing is to be
// refused any more.
func (a *app) settle(ctx context.Context, m *plan.Mesh, owner bool) error {
	var err error
	if m.Engine, err = cluster.Prepare(ctx, m.Facts, m.State.Path); err != nil {
		return err
	}
	if owner && !a.quiet {
		fmt.Fprintf(a.Err, "host: %s %s\n", m.Facts.Engine, m.Facts.EngineVersion)
		for _, said := range m.Facts.Adjustments() {
			fmt.Fprintln(a.Err, "host:", said)
		}
	}
	if owner {
		if _, err := m.RecoverOwner(ctx, true); err != nil {
			return err
		}
	}
	provider := kind.New(m.Engine, m.Facts, m.Topology.NetworkName(), m.Labels())
	if owner {
		provider.Dir = m.State.Path
	}
	m.Provider = provider
	return nil
}

// errNoBundle means that nothing is where a bundle is looked for.
var errNoBundle = errors.New("there is no image bundle")

// openBundle finds the image bundle that clusters are made from. It is needed only while a
// cluster or its node image is missing.
func (a *app) openBundle(m *plan.Mesh, dir string) error {
	if dir == "" {
		dir = bundle.DefaultDir()
	}
	b, err := bundle.Open(dir)
	if _, serr := os.Stat(filepath.Join(dir, "bundle.json")); err != nil && errors.Is(serr, fs.ErrNotExist) {
		return diag.Hint(fmt.Errorf("%w in %s, and pulling from a registry is not built yet", errNoBundle, dir),
			"`meshfed bundle build` makes one from source (about 15 minutes the first time), or name one with --bundle DIR")
	}
	m.Bundle = b
	return err
}
