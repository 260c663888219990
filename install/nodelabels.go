// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// NodeLabels is the cluster's locality on those nodes of a user's own cluster that say none of
// their own, where the file asks for it (provider.kubeconfig.labelNodes).
type NodeLabels struct{ Mesh }

var (
	_ Part    = NodeLabels{}
	_ Removal = NodeLabels{}
)

// labelled is a node with the labels, as an apply that sets nothing else.
func labelled(name string, labels map[string]string) *unstructured.Unstructured {
	node := &unstructured.Unstructured{}
	node.SetAPIVersion("v1")
	node.SetKind("Node")
	node.SetName(name)
	node.SetLabels(labels)
	return node
}

// want are the nodes as they shall be.
func (n NodeLabels) want(ctx context.Context, c *kube.Client) ([]*unstructured.Unstructured, error) {
	cluster, err := n.cluster(c)
	if err != nil || cluster.Provider.Kubeconfig == nil || !cluster.Provider.Kubeconfig.LabelNodes {
		return nil, err
	}
	labels := map[string]string{topology.LabelRegion: cluster.Locality.Region}
	if cluster.Locality.Zone != "" {
		labels[topology.LabelZone] = cluster.Locality.Zone
	}
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return nil, c.Explain(err, "listing nodes")
	}
	var want []*unstructured.Unstructured
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if labelledByUs(node, topology.LabelRegion) || node.Labels[topology.LabelRegion] == "" && node.Labels[topology.LabelZone] == "" {
			want = append(want, labelled(node.Name, labels))
		}
	}
	return want, nil
}

// Look implements Part.
func (n NodeLabels) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	want, err := n.want(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	for _, node := range want {
		if change, err := c.Look(ctx, node); err != nil || change.Needed() {
			return change, err
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// Do implements Part.
func (n NodeLabels) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	want, err := n.want(ctx, c)
	if err != nil {
		return err
	}
	for _, node := range want {
		if err := c.Apply(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// ours lists the nodes that carry a label of ours.
func (n NodeLabels) ours(ctx context.Context, c *kube.Client) ([]string, error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return nil, c.Explain(err, "listing nodes")
	}
	var names []string
	for i := range nodes.Items {
		if node := &nodes.Items[i]; labelledByUs(node, topology.LabelRegion) || labelledByUs(node, topology.LabelZone) {
			names = append(names, node.Name)
		}
	}
	return names, nil
}

// LookRemove implements Removal.
func (n NodeLabels) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	names, err := n.ours(ctx, c)
	if err != nil || len(names) == 0 {
		return there(), err
	}
	return there(fmt.Sprintf("locality of %d nodes", len(names))), nil
}

// Remove takes our labels off again: an apply that sets none gives up those that only we had set.
func (n NodeLabels) Remove(ctx context.Context, c *kube.Client) error {
	names, err := n.ours(ctx, c)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.Apply(ctx, labelled(name, nil)); err != nil {
			return err
		}
	}
	return nil
}
