// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/bundle"
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
			if len(m.made()) == 0 {
				return graph.Change{Action: graph.None, Reason: "no cluster is to be made on it"}, nil
			}
			names, err := m.Provider.List(ctx)
			if errors.Is(err, cluster.ErrForeign) {
				err = diag.Hint(err, "choose another metadata.name, or remove it yourself: "+m.Engine.Name()+" network rm "+m.Topology.NetworkName())
			}
			if err != nil {
				return graph.Change{}, err
			}
			missing := 0
			var ports []int
			for _, name := range m.made() {
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
				subnets, err := m.clusterSubnets()
				if err != nil {
					return graph.Change{}, err
				}
				if err := cluster.SubnetsFree(ctx, m.Engine, m.Topology.NetworkName(), subnets); err != nil {
					return graph.Change{}, err
				}
			}
			return graph.Change{Action: graph.None}, nil
		},
		Do: func(context.Context, graph.Change) error { return nil },
	}
}

// Preflight refuses what can be known to fail before anything is made: a bundle of other
// images, a foreign or overlapping container network, too little disk, used ports, a root that is
// not at hand or ends before what it is to sign, images that their registry does not give, and
// whatever stands against a cluster of the user's own becoming what the file says. It changes
// nothing.
func (m *Mesh) Preflight(ctx context.Context) error {
	if err := m.CheckBundle(); err != nil {
		return err
	}
	if _, err := m.host().Look(ctx); err != nil {
		return err
	}
	if len(m.made()) > 0 {
		if _, err := (network{m}).Look(ctx); err != nil {
			return err
		}
	}
	if err := m.preflightExisting(ctx); err != nil {
		return err
	}
	if _, err := (root{m}).Look(ctx); err != nil {
		return err
	}
	if !m.Pull {
		return nil
	}
	needed, err := m.needsNodeImage(ctx)
	if err != nil || !needed && m.imagesRecorded(ctx) {
		return err
	}
	return m.AskRegistries(ctx)
}

// clusterDisk is what one cluster may take, in bytes: 1.3 GiB were measured after a day.
const clusterDisk = 2 << 30

// root makes the root certificate once.
type root struct{ m *Mesh }

// Look says create where there is none and some cluster needs one. A root that is used already
// and not at hand is an error, as is one that ends before an intermediate that it is to sign.
func (r root) Look(ctx context.Context) (graph.Change, error) {
	made, err := r.m.store().Load()
	switch {
	case errors.Is(err, fs.ErrNotExist) && !r.m.signs():
		return graph.Change{Action: graph.None, Reason: "intermediates are somebody else's"}, nil
	case errors.Is(err, fs.ErrNotExist):
		live, _ := r.m.live(ctx, r.m.Topology.Names()) // Do insists on the answer of each
		return graph.Change{Action: graph.Create, Reason: "there is none in " + r.m.State.PKI()}, r.unused(ctx, live)
	case errors.Is(err, certs.ErrHalf) && !r.m.hasRootCertificate():
		// The key is written first: without its certificate it has signed nothing.
		return graph.Change{Action: graph.Replace, Reason: "making it was interrupted: it has a key and no certificate"}, nil
	case err != nil:
		return graph.Change{}, err
	}
	return graph.Change{Action: graph.None}, r.m.outlived(ctx, made)
}

// unused refuses to make a root while a cluster uses one, whose key is not at hand.
func (r root) unused(ctx context.Context, live map[string]*kube.Client) error {
	for _, name := range slices.Sorted(maps.Keys(live)) {
		found, err := install.TrustedRoots(ctx, live[name])
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return diag.Hint(fmt.Errorf("the root key is not in %s, and %s already uses root %s: a root is never made again silently",
				r.m.State.PKI(), name, certs.Fingerprint(found[0])),
				"put root.pem and root.key there; or start over with `meshfed down` and `meshfed up`; or bring intermediates yourself and write manage: {cacerts: false} for every cluster")
		}
	}
	return nil
}

func (r root) Do(ctx context.Context, change graph.Change) error {
	// All clusters, also those that --clusters leaves out: they are one mesh.
	live, err := r.m.live(ctx, r.m.Topology.Names())
	if err == nil {
		err = r.unused(ctx, live)
	}
	if err != nil {
		return err
	}
	generate := r.m.Topology.Spec.Certificates.Root.Generate
	made, err := certs.NewRoot(certs.Options{
		CommonName: "root." + r.m.Topology.Spec.Mesh.ID, Organization: r.m.Topology.Spec.Mesh.ID,
		Algorithm: generate.Algorithm, Lifetime: duration(generate.Lifetime), Now: now(),
	})
	if err != nil {
		return err
	}
	if change.Action == graph.Replace {
		if err := r.m.store().Delete(); err != nil {
			return err
		}
	}
	return r.m.store().Create(made)
}

// network makes the container network of the kind clusters.
type network struct{ m *Mesh }

func (n network) Look(ctx context.Context) (graph.Change, error) {
	if !n.m.Topology.OwnsNetwork() {
		return n.lookShared(ctx)
	}
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
	return n.apart(found)
}

// kindNetwork is the network that kind makes by itself when it is missing, and that all its
// clusters share (https://kind.sigs.k8s.io/docs/user/configuration/).
const kindNetwork = "kind"

// lookShared looks at a network that is joined and never made or removed by us.
func (n network) lookShared(ctx context.Context) (graph.Change, error) {
	found, err := cluster.JoinNetwork(ctx, n.m.Engine, n.m.Topology.NetworkName())
	if errors.Is(err, cluster.ErrNoNetwork) && n.m.Topology.NetworkName() == kindNetwork {
		return graph.Change{Action: graph.None, Reason: "kind makes it with the first cluster"}, nil
	}
	if err != nil {
		return graph.Change{}, err
	}
	return n.apart(found)
}

// apart refuses a network that overlaps a cluster's own subnets.
func (n network) apart(found cluster.Network) (graph.Change, error) {
	avoid, err := n.m.clusterSubnets()
	if err != nil {
		return graph.Change{}, err
	}
	for _, p := range avoid {
		if p.Overlaps(found.Subnet) {
			return graph.Change{}, diag.Hint(fmt.Errorf("container network %s has %s, which overlaps %s of the topology", found.Name, found.Subnet, p),
				"choose another podSubnet or serviceSubnet, or remove the network with `meshfed down`: the next one is made beside them")
		}
	}
	return graph.Change{Action: graph.None, Reason: found.Subnet.String()}, nil
}

// clusterSubnets lists the pod and service subnets of the file.
func (m *Mesh) clusterSubnets() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for i := range m.Topology.Spec.Clusters {
		kind := m.Topology.Spec.Clusters[i].Provider.Kind
		if kind == nil {
			continue
		}
		for _, subnet := range []string{kind.PodSubnet, kind.ServiceSubnet} {
			prefix, err := netip.ParsePrefix(subnet)
			if err != nil {
				return nil, fmt.Errorf("reading subnet %q: %w", subnet, err)
			}
			all = append(all, prefix)
		}
	}
	return all, nil
}

func (n network) Do(ctx context.Context, _ graph.Change) error {
	avoid, err := n.m.clusterSubnets()
	if err != nil {
		return err
	}
	_, err = cluster.EnsureNetwork(ctx, n.m.Engine, cluster.NetworkSpec{
		Name: n.m.Topology.NetworkName(), Labels: n.m.Labels(), Range: n.m.Topology.NodeRange, Avoid: avoid,
	})
	return err
}

// nodeImage brings the node image into the engine: from the bundle, or by a pull.
type nodeImage struct{ m *Mesh }

func (i nodeImage) Look(ctx context.Context) (graph.Change, error) {
	if i.m.Bundle == nil && i.m.Pull {
		return i.lookPulled(ctx)
	}
	if i.m.Bundle == nil {
		return graph.Change{Action: graph.None, Reason: "no cluster is to be made"}, nil
	}
	for _, b := range i.m.nodeBundles(i.m.Bundle) {
		has, err := b.HasNodeImage(ctx, i.m.Engine)
		if err != nil {
			return graph.Change{}, err
		}
		if has {
			continue
		}
		// Another bundle than the one that running clusters were made from is at hand.
		if needed, err := i.m.needsNodeImage(ctx); err != nil || !needed {
			return graph.Change{Action: graph.None, Reason: "no cluster is to be made"}, err
		}
		return graph.Change{Action: graph.Create, Reason: b.NodeImage + " is not in " + i.m.Engine.Name()}, nil
	}
	return graph.Change{Action: graph.None, Reason: i.m.Bundle.NodeImage}, nil
}

// nodeBundles is the bundle for each of the node images that the selected clusters are made
// from; those that it does not hold were refused before.
func (m *Mesh) nodeBundles(b *bundle.Bundle) []*bundle.Bundle {
	var list []*bundle.Bundle
	for _, name := range m.made() {
		node, ok := b.For(m.kubernetes(name))
		if ok && !slices.ContainsFunc(list, func(have *bundle.Bundle) bool { return have.NodeImage == node.NodeImage }) {
			list = append(list, node)
		}
	}
	return list
}

// lookPulled says whether node images are to be fetched: what a registry has now is found out
// by fetching, which takes no time when it has come before.
func (i nodeImage) lookPulled(ctx context.Context) (graph.Change, error) {
	if needed, err := i.m.needsNodeImage(ctx); err != nil || !needed {
		return graph.Change{Action: graph.None, Reason: "no cluster is to be made"}, err
	}
	if i.m.fetched() == nil {
		return graph.Change{Action: graph.Create, Reason: "from " + i.m.ImagesFrom()}, nil
	}
	return graph.Change{Action: graph.None}, nil
}

// needsNodeImage says whether a selected cluster is to be made, or made again.
func (m *Mesh) needsNodeImage(ctx context.Context) (bool, error) {
	for _, name := range m.made() {
		if needed, err := m.toBeMade(ctx, name); err != nil || needed {
			return needed, err
		}
	}
	return false, nil
}

// toBeMade says whether a kind cluster is to be made, or made again.
func (m *Mesh) toBeMade(ctx context.Context, name string) (bool, error) {
	status, err := m.Provider.Look(ctx, m.kindSpec(name))
	if err != nil {
		return false, err
	}
	return status.State == cluster.Absent || status.State == cluster.HalfMade || m.lookReplace(name, status).Needed() && m.mayReplace(name), nil
}

func (i nodeImage) Do(ctx context.Context, _ graph.Change) error {
	if i.m.Bundle == nil {
		return i.m.fetchNodeImages(ctx)
	}
	if err := i.m.loadNodeImages(ctx, i.m.Bundle); err != nil {
		return err
	}
	// Each is more than a gigabyte. One that can not be removed is in nobody's way, and is
	// tried again after the next load.
	if gone, _ := i.m.Bundle.PruneNodeImages(ctx, i.m.Engine); len(gone) > 0 {
		graph.State(ctx, "removed %d node images that nothing uses", len(gone))
	}
	return nil
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
