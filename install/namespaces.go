// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Namespaces are those of spec.namespaces in a cluster. One that was there before gets the label
// for injection and nothing that says it is ours.
type Namespaces struct{ Mesh }

// Look says create when a namespace is absent and update when a label is missing. A namespace of
// somebody else whose label would keep sidecars out is an error.
func (n Namespaces) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	for _, each := range n.Topology.NamespacesOf(c.Cluster) {
		want, stale, err := n.want(ctx, c, each)
		if err != nil {
			return graph.Change{}, err
		}
		if stale != "" {
			return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("namespace %s shall not be injected, and its label %s says it is", each.Name, stale)}, nil
		}
		if want == nil {
			continue
		}
		change, err := c.Look(ctx, want)
		if err != nil || change.Needed() {
			if change.Action == graph.Create {
				change.Reason = "namespace " + each.Name + " is not there"
			}
			return change, err
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// Do applies the namespaces.
func (n Namespaces) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	for _, each := range n.Topology.NamespacesOf(c.Cluster) {
		want, _, err := n.want(ctx, c, each)
		if err != nil {
			return err
		}
		if want == nil {
			continue
		}
		if err := c.Apply(ctx, want); err != nil {
			return err
		}
	}
	return nil
}

// Remove lets go of all that were ever asked for, those that the file has dropped included: see
// leaving.
func (n Namespaces) Remove(ctx context.Context, c *kube.Client) error {
	return n.letGo(ctx, c, nil)
}

// letGo lets go of namespaces that are not wanted.
func (n Namespaces) letGo(ctx context.Context, c *kube.Client, wanted []topology.Namespace) error {
	found, err := n.marked(ctx, c, wanted)
	if err != nil {
		return err
	}
	for _, each := range found {
		if err := n.leave(ctx, c, each.Name); err != nil {
			return err
		}
	}
	return nil
}

// lookAway says what letGo would take away.
func (n Namespaces) lookAway(ctx context.Context, c *kube.Client, wanted []topology.Namespace) (graph.Change, error) {
	found, err := n.marked(ctx, c, wanted)
	if err != nil {
		return graph.Change{}, err
	}
	names := make([]string, len(found))
	for i, each := range found {
		l, err := n.leaving(ctx, c, each)
		if err != nil {
			return graph.Change{}, err
		}
		names[i] = l.String()
	}
	return there(names...), nil
}

// marked lists the namespaces that are ours or have a label for injection of ours, but for those
// that are wanted and those of other parts.
func (n Namespaces) marked(ctx context.Context, c *kube.Client, wanted []topology.Namespace) ([]corev1.Namespace, error) {
	var list corev1.NamespaceList
	if err := c.List(ctx, &list); err != nil {
		return nil, c.Explain(err, "listing namespaces")
	}
	return slices.DeleteFunc(list.Items, func(found corev1.Namespace) bool {
		switch {
		case found.Name == topology.SystemNamespace, found.Name == topology.MetalLBNamespace, found.Labels[topology.LabelVerify] != "":
			return true
		case slices.ContainsFunc(wanted, func(w topology.Namespace) bool { return w.Name == found.Name }):
			return true
		}
		return !owned(&found, n.Mesh) && !labelledByUs(&found, topology.LabelInjection, topology.LabelRevision)
	}), nil
}

// DroppedNamespaces are those of an earlier form of the file.
type DroppedNamespaces struct{ Mesh }

// LookRemove implements Removal.
func (d DroppedNamespaces) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return Namespaces(d).lookAway(ctx, c, d.Topology.NamespacesOf(c.Cluster))
}

// Remove implements Removal.
func (d DroppedNamespaces) Remove(ctx context.Context, c *kube.Client) error {
	return Namespaces(d).letGo(ctx, c, d.Topology.NamespacesOf(c.Cluster))
}

// want is a namespace as it shall be, or nil when somebody else's needs nothing; and the label for
// injection that we have set and that shall go, if any.
func (n Namespaces) want(ctx context.Context, c *kube.Client, each topology.Namespace) (want *corev1.Namespace, stale string, err error) {
	key, value := n.Topology.Injection()
	labels := n.labelsOf(each)
	var found corev1.Namespace
	err = c.Get(ctx, client.ObjectKey{Name: each.Name}, &found)
	switch {
	case kube.Absent(err):
		return kube.Namespace(each.Name, kube.Labels(n.labels(), labels)), "", nil
	case err != nil:
		return nil, "", c.Explain(err, "reading namespace "+each.Name)
	case each.Inject:
		if err := otherInjection(&found, key, value); err != nil {
			return nil, "", diag.Op(diag.Hint(err, "remove the label yourself: "+c.Kubectl(fmt.Sprintf("label namespace %s %s-", each.Name, topology.LabelInjection))), c.Cluster, "looking at namespace "+each.Name)
		}
	}
	for _, label := range []string{topology.LabelInjection, topology.LabelRevision} {
		if labels[label] == "" && labelledByUs(&found, label) {
			stale = label
		}
	}
	switch {
	case owned(&found, n.Mesh):
		return kube.Namespace(each.Name, kube.Labels(n.labels(), labels)), stale, nil
	case len(labels) == 0 && stale == "":
		return nil, "", nil
	}
	return kube.Namespace(each.Name, labels), stale, nil
}

// labelsOf are the labels for injection of a namespace of the file.
func (n Namespaces) labelsOf(each topology.Namespace) map[string]string {
	if !each.Inject {
		return nil
	}
	key, value := n.Topology.Injection()
	return map[string]string{key: value}
}

// otherInjection refuses istio-injection on a namespace that a revision shall inject: Istio heeds
// the former and not the latter when both are there (templates/mutatingwebhook.yaml).
func otherInjection(found *corev1.Namespace, key, value string) error {
	if has, ok := found.Labels[topology.LabelInjection]; ok && key != topology.LabelInjection && !labelledByUs(found, topology.LabelInjection) {
		return fmt.Errorf("namespace %s is labelled %s=%s, which goes before %s=%s", found.Name, topology.LabelInjection, has, key, value)
	}
	return nil
}
