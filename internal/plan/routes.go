// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// flat lists the selected pairs of kind clusters in one network: their nodes must lead to each
// other's pods. Routes of clusters that are the user's own are never made, only proven.
func (m *Mesh) flat() []topology.Pair {
	var made []*topology.Cluster
	for i := range m.Topology.Spec.Clusters {
		if c := &m.Topology.Spec.Clusters[i]; c.IsMember() && c.Provider.Kind != nil && m.selected(c.Name) {
			made = append(made, c)
		}
	}
	// Of many clusters hardly two share a network: none is looked up by its name for each pair.
	var pairs []topology.Pair
	for _, from := range made {
		for _, to := range made {
			if from != to && from.Network == to.Network {
				pairs = append(pairs, topology.Pair{From: from.Name, To: to.Name})
			}
		}
	}
	return pairs
}

// podRoutes are the routes from the nodes of one cluster to the pods of another.
type podRoutes struct {
	m    *Mesh
	pair topology.Pair
	peer *kube.Client
}

func (m *Mesh) podRoutes(_ context.Context, pair topology.Pair, peer *kube.Client) (part, error) {
	return podRoutes{m, pair, peer}, nil
}

// pods are the subnets of the peer's pods by the names of its nodes.
func (r podRoutes) pods(ctx context.Context) (map[string]netip.Prefix, error) {
	var nodes corev1.NodeList
	if err := r.peer.List(ctx, &nodes); err != nil {
		return nil, r.peer.Explain(err, "listing nodes")
	}
	pods := map[string]netip.Prefix{}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		subnet, err := netip.ParsePrefix(n.Spec.PodCIDR)
		if err != nil {
			return nil, diag.Hint(fmt.Errorf("node %s of %s has no subnet for its pods: %q", n.Name, r.pair.To, n.Spec.PodCIDR),
				"its kube-controller-manager gives it one (allocate-node-cidrs); `kubectl --context "+r.m.Topology.Context(r.pair.To)+" -n kube-system get pods` shows how that is")
		}
		pods[n.Name] = subnet
	}
	return pods, nil
}

func (r podRoutes) Look(ctx context.Context, _ *kube.Client) (graph.Change, error) {
	pods, err := r.pods(ctx)
	if err != nil {
		return graph.Change{}, err
	}
	missing, err := r.m.Provider.Unrouted(ctx, r.m.Topology.KindName(r.pair.From), r.m.Topology.KindName(r.pair.To), pods)
	if err != nil || len(missing) == 0 {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Update, Reason: strings.Join(missing, ", ")}, nil
}

func (r podRoutes) Do(ctx context.Context, _ *kube.Client, _ graph.Change) error {
	pods, err := r.pods(ctx)
	if err != nil {
		return err
	}
	return r.m.Provider.Route(ctx, r.m.Topology.KindName(r.pair.From), r.m.Topology.KindName(r.pair.To), pods)
}
