// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
)

// Mesh is what the steps of one topology work with on this host. Its methods are safe for
// concurrent use.
type Mesh struct {
	// Topology is what shall exist.
	Topology *topology.Topology
	// State is the topology's state directory.
	State state.Dir
	// Facts, Engine and Provider are how clusters are made on this host.
	Facts    cluster.Facts
	Engine   cluster.Engine
	Provider Provider
	// Bundle holds the images; nil where nodes pull them, or where a command needs none.
	Bundle *bundle.Bundle
	// Pull says that nodes pull their images: clusters can be made without a bundle.
	Pull bool
	// Registry is what those images say of themselves; nil before AskRegistries.
	Registry *registry.Described
	// BuildProbe says that no registry has the probe, which is then compiled on this host.
	BuildProbe bool
	// Owner is the topology's owner id; see RecoverOwner.
	Owner string
	// FindOwner asks the clusters themselves whose they are; empty when there are none. It is
	// how an owner is found again on a container network that is not the topology's own.
	FindOwner func(context.Context) (string, error)
	// Clusters limits the work to these; empty means all.
	Clusters []string
	// Replace are clusters that are deleted and made anew, PruneClusters lets those go that the
	// file no longer has.
	Replace       []string
	PruneClusters bool

	// answer bounds what is asked of a registry about one image; 0 means the registry package's.
	answer time.Duration
	// charts are the paths of Istio's charts by name; nil for those that are built in.
	charts map[string]string
	// recorded is what the clusters that exist say of their images; nil when none does.
	recorded *install.Settings
	// digest is of the file alone, dropped are kind clusters that it no longer has; see Recover.
	digest  string
	dropped []string
	// former are clusters of the user's own that the file no longer has, see Recall; unplaced are
	// those of which nobody says where they are, see Recover.
	former   map[string]state.Access
	unplaced []string

	mu sync.Mutex
	// kept is what stays in clusters and is no longer asked for, doubts what Preflight let pass.
	kept, doubts []string
	connections  map[string]*connection
	// records are what clusters say of themselves, network is the container network once it was
	// seen, and replaced are the clusters that were made anew.
	records  map[string]*record
	network  *cluster.Network
	replaced map[string]bool
	// nodes holds node images that were fetched because there is no bundle; nil before.
	nodes *bundle.Bundle
}

// Provider makes clusters and can tell how they are.
type Provider interface {
	cluster.Provider
	cluster.Looker
	// InternalServer is the URL at which pods of the other clusters reach a cluster's API.
	InternalServer(ctx context.Context, name string) (string, error)
	// Unrouted says which nodes of a cluster do not lead to the pods of another's nodes: pods
	// are their subnets by node. Route makes them.
	Unrouted(ctx context.Context, name, other string, pods map[string]netip.Prefix) ([]string, error)
	Route(ctx context.Context, name, other string, pods map[string]netip.Prefix) error
	// Cut makes the nodes of a cluster drop what comes from the nodes of others and from address
	// ranges, until lasts is over, whatever happens to this process. Mend ends that at once.
	Cut(ctx context.Context, name string, others []string, ranges []topology.AddressRange, lasts time.Duration) error
	Mend(ctx context.Context, name string) error
	// Ports are the node ports of a cluster that this host publishes on loopback, and where.
	Ports(ctx context.Context, name string) (map[int]int, error)
	// Images are the names of the images that every node has.
	Images(ctx context.Context, name string) ([]string, error)
	// LoadImages imports an image archive into every node; open is called for each.
	LoadImages(ctx context.Context, name string, open func() (io.ReadCloser, error)) error
}

// ErrNoCluster means that a cluster does not exist (yet).
var ErrNoCluster = errors.New("the cluster does not exist")

// RecoverOwner sets Owner: from the state directory, else from the labels of the container
// network, else (when make is true) a new one, which is kept. It returns false when there
// is no owner, so nothing of the topology exists.
func (m *Mesh) RecoverOwner(ctx context.Context, make bool) (bool, error) {
	owner, err := m.State.Owner()
	if err == nil {
		m.Owner = owner
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !m.Topology.OwnsNetwork() || len(m.Existing()) > 0 {
		return m.recoverShared(ctx, make)
	}
	network, err := cluster.InspectNetwork(ctx, m.Engine, m.Topology.NetworkName())
	switch {
	case err == nil && network.Labels[topology.LabelTopology] == m.Topology.Metadata.Name:
		m.Owner = network.Labels[topology.LabelOwner]
	case err == nil || errors.Is(err, cluster.ErrNoNetwork):
		if !make {
			return false, nil
		}
		m.Owner = state.NewOwner()
	default:
		return false, err
	}
	if !make {
		return true, nil
	}
	return true, m.State.SetOwner(m.Owner)
}

// recoverShared is RecoverOwner where the container network carries no label of ours, or is not
// the only thing that knows: clusters of the user's own say it too.
func (m *Mesh) recoverShared(ctx context.Context, make bool) (bool, error) {
	for _, find := range []func(context.Context) (string, error){m.ownerOfNetwork, m.FindOwner, m.ownerOfExisting} {
		if find == nil || m.Owner != "" {
			continue
		}
		found, err := find(ctx)
		if err != nil {
			return false, err
		}
		m.Owner = found
	}
	if m.Owner == "" && !make {
		return false, nil
	}
	if m.Owner == "" {
		m.Owner = state.NewOwner()
	}
	if !make {
		return true, nil
	}
	return true, m.State.SetOwner(m.Owner)
}

// ownerOfNetwork is the owner that the topology's own container network names; empty without one.
func (m *Mesh) ownerOfNetwork(ctx context.Context) (string, error) {
	if !m.Topology.OwnsNetwork() || m.Engine == nil {
		return "", nil
	}
	network, err := cluster.InspectNetwork(ctx, m.Engine, m.Topology.NetworkName())
	if errors.Is(err, cluster.ErrNoNetwork) {
		return "", nil
	}
	if err == nil && network.Labels[topology.LabelTopology] == m.Topology.Metadata.Name {
		return network.Labels[topology.LabelOwner], nil
	}
	return "", err
}

// ownerOfExisting is the owner that the user's own clusters name for this topology; empty when
// none does.
func (m *Mesh) ownerOfExisting(ctx context.Context) (string, error) {
	for _, name := range m.Existing() {
		c, err := m.Client(ctx, name)
		if err != nil {
			return "", err
		}
		found, err := readRecord(ctx, c)
		if err != nil {
			return "", err
		}
		if found != nil && found.topology == m.Topology.Metadata.Name {
			return found.owner, nil
		}
	}
	return "", nil
}

// Labels are what everything that we make outside the clusters carries.
func (m *Mesh) Labels() map[string]string {
	return map[string]string{topology.LabelTopology: m.Topology.Metadata.Name, topology.LabelOwner: m.Owner}
}

// Selected lists the clusters to work on, in file order.
func (m *Mesh) Selected() []string {
	if len(m.Clusters) == 0 {
		return m.Topology.Names()
	}
	return slices.DeleteFunc(m.Topology.Names(), func(name string) bool { return !slices.Contains(m.Clusters, name) })
}

// Client returns a client of the named cluster whose API answers. It asks the provider for
// a new kubeconfig when the one in the state directory is missing or no longer works. The
// error is an ErrNoCluster when the cluster does not exist.
func (m *Mesh) Client(ctx context.Context, name string) (*kube.Client, error) {
	known := m.connection(name)
	// One at a time: a plan looks at thirty steps at once, and one connection serves them.
	known.Lock()
	defer known.Unlock()
	if known.client != nil {
		return known.client, nil
	}
	if known.absent {
		return nil, fmt.Errorf("%s: %w", m.Topology.KindName(name), ErrNoCluster)
	}
	if _, former := m.former[name]; former {
		c, err := m.loadFormer(ctx, name)
		known.client = c
		return c, err
	}
	if m.existing(name) {
		c, err := m.loadExisting(ctx, name)
		known.client = c
		return c, err
	}
	c, err := kube.Load(name, m.State.Kubeconfig(name), m.Topology.Context(name))
	if err == nil {
		err = answersSoon(ctx, c)
	}
	if err != nil {
		names, lerr := m.Provider.List(ctx)
		if lerr != nil {
			return nil, diag.Op(lerr, name, "listing clusters")
		}
		if kindName := m.Topology.KindName(name); !slices.Contains(names, kindName) {
			known.absent = true
			return nil, fmt.Errorf("%s: %w", kindName, ErrNoCluster)
		}
		if c, err = m.refresh(ctx, name); err != nil {
			return nil, err
		}
	}
	known.client = c
	return c, nil
}

// connection is the client of one cluster, once it was tried, or the knowledge that there is no
// such cluster: only this program makes it, and then it says so by connected.
type connection struct {
	sync.Mutex
	client *kube.Client
	absent bool
}

func (m *Mesh) connection(name string) *connection {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.connections[name] == nil {
		if m.connections == nil {
			m.connections = map[string]*connection{}
		}
		m.connections[name] = &connection{}
	}
	return m.connections[name]
}

// refresh writes a new kubeconfig and returns a client that was tried.
func (m *Mesh) refresh(ctx context.Context, name string) (*kube.Client, error) {
	data, err := m.Provider.Kubeconfig(ctx, m.Topology.KindName(name), cluster.FromHost)
	if err != nil {
		return nil, diag.Op(err, name, "getting a kubeconfig")
	}
	if err := m.State.WriteKubeconfig(name, data); err != nil {
		return nil, err
	}
	c, err := kube.Load(name, m.State.Kubeconfig(name), m.Topology.Context(name))
	if err != nil {
		return nil, err
	}
	return c, answersSoon(ctx, c)
}

// answersSoon asks a cluster's API server for a sign of life. One that accepts connections and
// says nothing, as a frozen node does, must not use up the time of the step that asks.
func answersSoon(ctx context.Context, c *kube.Client) error {
	bounded, cancel := context.WithTimeout(ctx, seconds(8))
	defer cancel()
	return c.Reachable(bounded)
}

// forget drops the client of a cluster that is made or removed.
func (m *Mesh) forget(name string) {
	known := m.connection(name)
	known.Lock()
	defer known.Unlock()
	known.client, known.absent = nil, false
}

// connected keeps the client of a cluster that was made.
func (m *Mesh) connected(name string, c *kube.Client) {
	known := m.connection(name)
	known.Lock()
	defer known.Unlock()
	known.client, known.absent = c, false
}

// Live returns a client for each selected cluster that exists and answers, and the errors
// of those that exist but do not.
func (m *Mesh) Live(ctx context.Context) (map[string]*kube.Client, error) {
	return m.live(ctx, m.Selected())
}

func (m *Mesh) live(ctx context.Context, names []string) (map[string]*kube.Client, error) {
	clients, errs := make([]*kube.Client, len(names)), make([]error, len(names))
	var group errgroup.Group
	group.SetLimit(recoversAtOnce)
	for i, name := range names {
		group.Go(func() error {
			clients[i], errs[i] = m.Client(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	live := map[string]*kube.Client{}
	var failed []error
	for i, name := range names {
		switch err := errs[i]; {
		case err == nil:
			live[name] = clients[i]
		case !errors.Is(err, ErrNoCluster):
			failed = append(failed, err)
		}
	}
	return live, errors.Join(failed...)
}

// store is where the root lies.
func (m *Mesh) store() certs.Store { return certs.Store{Dir: m.State.PKI()} }

// Substitutions says what of the images at hand is not what a release would use; empty where
// none are.
func (m *Mesh) Substitutions() []string {
	switch {
	case m.Bundle != nil:
		return m.Bundle.Substitutions
	case m.Registry != nil:
		return m.Registry.Substitutions
	}
	return nil
}

// hasFile says whether path exists.
func hasFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
