// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
)

// host checks what must hold before anything is made: an engine, disk, free ports.
func (m *Mesh) host() graph.Step {
	return graph.Step{
		ID: "host", Title: "this host", Timeout: seconds(30),
		Look: func(ctx context.Context) (graph.Change, error) {
			names, err := m.Provider.List(ctx)
			if err != nil {
				return graph.Change{}, err
			}
			missing := 0
			var ports []int
			for _, name := range m.Selected() {
				if contains(names, m.Topology.KindName(name)) {
					continue
				}
				missing++
				ports = append(ports, m.hostPorts(name)...)
			}
			if missing > 0 {
				// A cluster with Istio grows to about this much: node volume and logs.
				if err := cluster.CheckDisk(m.Facts, uint64(missing)*clusterDisk); err != nil {
					return graph.Change{}, err
				}
				if err := cluster.PortsFree(ports); err != nil {
					return graph.Change{}, err
				}
			}
			return graph.Change{Action: graph.None}, nil
		},
		Do: func(context.Context, graph.Change) error { return nil },
	}
}

// clusterDisk is what one cluster may take, in bytes: 1.3 GiB were measured after a day.
const clusterDisk = 2 << 30

// root makes the root certificate once.
type root struct{ m *Mesh }

func (r root) Look(context.Context) (graph.Change, error) {
	_, err := r.m.store().Load()
	if errors.Is(err, fs.ErrNotExist) {
		return graph.Change{Action: graph.Create, Reason: "there is none in " + r.m.State.PKI()}, nil
	}
	return graph.Change{Action: graph.None}, err
}

func (r root) Do(ctx context.Context, _ graph.Change) error {
	live, err := r.m.Live(ctx)
	if err != nil {
		return err
	}
	for name, c := range live {
		found, err := install.TrustedRoots(ctx, c)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return diag.Hint(fmt.Errorf("the root key is not in %s, and %s already uses root %s: a root is never made again silently",
				r.m.State.PKI(), name, certs.Fingerprint(found[0])),
				"put root.pem and root.key back, or start over with `meshfed down` and `meshfed up`")
		}
	}
	generate := r.m.Topology.Spec.Certificates.Root.Generate
	made, err := certs.NewRoot(certs.Options{
		CommonName: "root." + r.m.Topology.Spec.Mesh.ID, Organization: r.m.Topology.Spec.Mesh.ID,
		Algorithm: generate.Algorithm, Lifetime: duration(generate.Lifetime), Now: now(),
	})
	if err != nil {
		return err
	}
	return r.m.store().Create(made)
}

// network makes the container network of the kind clusters.
type network struct{ m *Mesh }

func (n network) Look(ctx context.Context) (graph.Change, error) {
	found, err := cluster.InspectNetwork(ctx, n.m.Engine, n.m.Topology.NetworkName())
	switch {
	case errors.Is(err, cluster.ErrNoNetwork):
		return graph.Change{Action: graph.Create}, nil
	case err != nil:
		return graph.Change{}, err
	case !found.OwnedBy(n.m.Labels()):
		// Ensure says whose it is and what to do.
		return graph.Change{Action: graph.Update, Reason: "it is not ours"}, nil
	}
	return graph.Change{Action: graph.None, Reason: found.Subnet.String()}, nil
}

func (n network) Do(ctx context.Context, _ graph.Change) error {
	spec := cluster.NetworkSpec{Name: n.m.Topology.NetworkName(), Labels: n.m.Labels(), Range: n.m.Topology.NodeRange}
	for i := range n.m.Topology.Spec.Clusters {
		kind := n.m.Topology.Spec.Clusters[i].Provider.Kind
		if kind == nil {
			continue
		}
		for _, subnet := range []string{kind.PodSubnet, kind.ServiceSubnet} {
			prefix, err := netip.ParsePrefix(subnet)
			if err != nil {
				return fmt.Errorf("reading subnet %q: %w", subnet, err)
			}
			spec.Avoid = append(spec.Avoid, prefix)
		}
	}
	_, err := cluster.EnsureNetwork(ctx, n.m.Engine, spec)
	return err
}

// nodeImage loads the bundle's node image into the engine.
type nodeImage struct{ m *Mesh }

func (i nodeImage) Look(ctx context.Context) (graph.Change, error) {
	if i.m.Bundle == nil {
		return graph.Change{Action: graph.None, Reason: "no cluster is to be made"}, nil
	}
	has, err := i.m.Bundle.HasNodeImage(ctx, i.m.Engine)
	if err != nil || has {
		return graph.Change{Action: graph.None, Reason: i.m.Bundle.NodeImage}, err
	}
	return graph.Change{Action: graph.Create, Reason: i.m.Bundle.NodeImage + " is not in " + i.m.Engine.Name()}, nil
}

func (i nodeImage) Do(ctx context.Context, _ graph.Change) error {
	graph.State(ctx, "loading %s", i.m.Bundle.NodeImage)
	return i.m.Bundle.LoadNodeImage(ctx, i.m.Engine)
}

// rootsAgree refuses, before anything is changed, clusters whose control planes trust
// different roots.
type rootsAgree struct{ m *Mesh }

func (r rootsAgree) Look(ctx context.Context) (graph.Change, error) {
	live, _ := r.m.Live(ctx) // a cluster whose API does not answer is the cluster step's business
	var clients []*kube.Client
	for _, name := range r.m.Selected() {
		if c, ok := live[name]; ok {
			clients = append(clients, c)
		}
	}
	return install.LookAtRoots(ctx, clients, r.m.store().Load)
}

func (rootsAgree) Do(context.Context, graph.Change) error { return nil }
