// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// SystemNamespace is istio-system with its network label, without which istiod takes all
// endpoints of the cluster for reachable from everywhere; and in a cluster that another one's
// istiod serves, with the annotation that names that istiod, by the cluster that it reads. It
// must be there before istiod is given the cluster to read: istiod looks at it once.
type SystemNamespace struct{ Mesh }

// Look says create when the namespace is absent and update when the label is. A network
// label with another value, on a namespace that is not ours, is an error.
func (n SystemNamespace) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	want, err := n.want(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	return c.Look(ctx, want)
}

// Do applies the namespace.
func (n SystemNamespace) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	want, err := n.want(ctx, c)
	if err != nil {
		return err
	}
	return c.Apply(ctx, want)
}

// Remove lets go of the namespace: see leaving.
func (n SystemNamespace) Remove(ctx context.Context, c *kube.Client) error {
	change, err := n.LookRemove(ctx, c)
	if err != nil || !change.Needed() {
		return err
	}
	return n.leave(ctx, c, topology.SystemNamespace)
}

// want is the namespace as it shall be: ours when we make it; when it was there before, it
// gets the network label and nothing that says it is ours.
func (n SystemNamespace) want(ctx context.Context, c *kube.Client) (*corev1.Namespace, error) {
	cluster, err := n.cluster(c)
	if err != nil {
		return nil, err
	}
	labels := networkLabel(cluster)
	var found corev1.Namespace
	err = c.Get(ctx, client.ObjectKey{Name: topology.SystemNamespace}, &found)
	switch {
	case kube.Absent(err):
		return n.own(cluster), nil
	case err != nil:
		return nil, c.Explain(err, "reading namespace "+topology.SystemNamespace)
	}
	if owned(&found, n.Mesh) {
		return n.own(cluster), nil
	}
	if network := found.Labels[topology.LabelNetwork]; network != "" && labels != nil && network != cluster.Network {
		err := fmt.Errorf("namespace %s is labelled %s=%s, the topology says %s", topology.SystemNamespace, topology.LabelNetwork, network, cluster.Network)
		return nil, diag.Op(diag.Hint(err, "set network: "+network+" for cluster "+c.Cluster+", or change the label yourself"), c.Cluster, "looking at "+topology.SystemNamespace)
	}
	return namespaceOf(cluster, labels), nil
}

// own is istio-system of a cluster where it is ours.
func (n SystemNamespace) own(cluster *topology.Cluster) *corev1.Namespace {
	return namespaceOf(cluster, kube.Labels(n.labels(), networkLabel(cluster)))
}

// networkLabel says where the cluster's endpoints are; nil where there are none of the mesh.
func networkLabel(cluster *topology.Cluster) map[string]string {
	if cluster.IsExternal() {
		return nil
	}
	return map[string]string{topology.LabelNetwork: cluster.Network}
}

// namespaceOf is istio-system of a cluster.
func namespaceOf(cluster *topology.Cluster, labels map[string]string) *corev1.Namespace {
	namespace := kube.Namespace(topology.SystemNamespace, labels)
	if !cluster.IsPrimary() {
		namespace.Annotations = map[string]string{topology.AnnotationControlPlanes: cluster.Config}
	}
	return namespace
}
