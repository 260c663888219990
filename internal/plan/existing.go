// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// existing says whether a cluster of the file is the user's own: it is never made, never
// removed, and no container engine knows of it.
func (m *Mesh) existing(name string) bool {
	c := m.Topology.Cluster(name)
	return c != nil && c.IsExisting()
}

// made lists the selected clusters that this program makes.
func (m *Mesh) made() []string { return slices.DeleteFunc(m.Selected(), m.existing) }

// Existing lists the clusters of the file that are the user's own, in file order.
func (m *Mesh) Existing() []string {
	return slices.DeleteFunc(m.Topology.Names(), func(name string) bool { return !m.existing(name) })
}

// NeedsEngine says whether a cluster of the file is made by this program, in a container engine.
func NeedsEngine(t *topology.Topology) bool {
	return slices.ContainsFunc(t.Names(), func(name string) bool { return !t.Cluster(name).IsExisting() })
}

// existingAnswers is how long the first answer of a user's own cluster may take: a plugin that
// fetches a token runs before it.
const existingAnswers = 30

// loadExisting makes the client of a user's own cluster from the user's own kubeconfig, as
// kubectl would: plugins, token files, client keys and proxies are client-go's business, and
// nothing of them is kept.
func (m *Mesh) loadExisting(ctx context.Context, name string) (*kube.Client, error) {
	c, err := kube.Load(name, m.Topology.Kubeconfig(name), m.Topology.Context(name))
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, seconds(existingAnswers))
	defer cancel()
	if err := c.Reachable(bounded); err != nil {
		return nil, err
	}
	return c, nil
}

// KubeconfigOf is where kubectl finds a cluster (one file, or a list as KUBECONFIG has it), and
// the context in it: of an existing cluster the user's own.
func (m *Mesh) KubeconfigOf(name string) (files, context string) {
	context = m.Topology.Context(name)
	if !m.existing(name) {
		return m.State.Kubeconfig(name), context
	}
	if context == "" {
		known := m.connection(name)
		known.Lock()
		defer known.Unlock()
		if known.client != nil {
			context = known.client.Context
		}
	}
	file := m.Topology.Kubeconfig(name)
	if file == "" {
		list := clientcmd.NewDefaultClientConfigLoadingRules().GetLoadingPrecedence()
		return strings.Join(list, string(filepath.ListSeparator)), context
	}
	if whole, err := filepath.Abs(file); err == nil {
		file = whole
	}
	return file, context
}

// existingCluster is the step of a cluster that is there already: it only looks.
func (m *Mesh) existingCluster(name string, needs ...string) graph.Step {
	return graph.Step{
		ID: "cluster@" + name, Cluster: name, Title: "existing cluster", Needs: needs, Timeout: minutes(2),
		Look: func(ctx context.Context) (graph.Change, error) {
			c, err := m.Client(ctx, name)
			if err != nil {
				return graph.Change{}, err
			}
			version, err := c.Version(ctx)
			if err != nil {
				return graph.Change{}, err
			}
			ready, state, err := nodesReady(ctx, c)
			if err == nil && !ready {
				err = diag.Op(errors.New(state), name, "looking at the nodes")
			}
			return graph.Change{Action: graph.None, Reason: "Kubernetes " + version}, err
		},
		Do: func(context.Context, graph.Change) error { return nil },
	}
}

// peerServer is where pods of the other clusters reach a cluster's API server: what the file
// says, the node container of a kind cluster, else what the user's own kubeconfig says.
func (m *Mesh) peerServer(ctx context.Context, name string) (string, error) {
	if said := m.Topology.Cluster(name).APIServer.PeerAddress; said != "" {
		return said, nil
	}
	if !m.existing(name) {
		return m.Provider.InternalServer(ctx, m.Topology.KindName(name))
	}
	c, err := m.Client(ctx, name)
	if err != nil {
		return "", err
	}
	server := c.REST.Host
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	if _, err := federation.ServerURL(server); err != nil {
		return "", diag.Op(m.orNode(ctx, err, name, server), name, "finding out how peers reach its API server")
	}
	return server, nil
}

// ownCA says that peers reach a cluster of the user's own elsewhere than the user does, so that the
// user's kubeconfig does not say whom to trust there.
func (m *Mesh) ownCA(name string) bool {
	return m.existing(name) && m.Topology.Cluster(name).APIServer.PeerAddress != ""
}

// orNode adds to a refused address of an API server which one to write, when it is that of a
// node container of this host.
func (m *Mesh) orNode(ctx context.Context, err error, name, server string) error {
	node := m.nodeBehind(ctx, server)
	if node == "" {
		return err
	}
	return diag.Hint(err, fmt.Sprintf("write apiServer: {peerAddress: %q} for cluster %s, and spec.containerNetwork with the network of that container, so that the others reach it", node, name))
}

// nodeBehind is the address, on its container network, of the node container that publishes a
// loopback port on which an API server was found; empty when there is none.
func (m *Mesh) nodeBehind(ctx context.Context, server string) string {
	u, err := url.Parse(server)
	if err != nil || m.Engine == nil {
		return ""
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return ""
	}
	containers, err := cluster.Containers(ctx, m.Engine, "label=io.x-k8s.kind.cluster")
	if err != nil {
		return ""
	}
	for _, c := range containers {
		for inside, outside := range c.Ports {
			if outside == port {
				return "https://" + net.JoinHostPort(m.nodeName(ctx, c), strconv.Itoa(inside))
			}
		}
	}
	return ""
}

// nodeName is how other containers call one: by name where its network serves names, else by
// the address that it has now.
func (m *Mesh) nodeName(ctx context.Context, c cluster.Container) string {
	for network, address := range c.Networks {
		n, err := cluster.InspectNetwork(ctx, m.Engine, network)
		if err == nil && !n.DNS && address.IsValid() {
			return address.String()
		}
	}
	return c.Name
}
