// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"

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
	for _, each := range n.Topology.Spec.Namespaces {
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
	for _, each := range n.Topology.Spec.Namespaces {
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

// Remove deletes the namespaces that are ours and in which no pod runs; one with pods stays and a
// state says so. Of those that were there before, our label is taken away.
func (n Namespaces) Remove(ctx context.Context, c *kube.Client) error {
	for _, each := range n.Topology.Spec.Namespaces {
		var found corev1.Namespace
		err := c.Get(ctx, client.ObjectKey{Name: each.Name}, &found)
		if kube.Absent(err) {
			continue
		}
		if err != nil {
			return c.Explain(err, "reading namespace "+each.Name)
		}
		pods, err := c.Pods(ctx, each.Name, nil)
		if err != nil {
			return err
		}
		if owned(&found, n.Mesh) && len(pods) == 0 {
			if err := c.Remove(ctx, &found); err != nil {
				return err
			}
			if err := awaitGone(ctx, c, each.Name); err != nil {
				return err
			}
			continue
		}
		if owned(&found, n.Mesh) {
			n.keeps(ctx, c, "namespace %s is kept: pod %s is in it", each.Name, pods[0].Name)
		}
		if err := n.unlabel(ctx, c, each.Name); err != nil {
			return err
		}
	}
	return nil
}

// unlabel takes our labels off a namespace that stays: those that only we set. A label that
// somebody else has set as well, or that was there with the same value, stays.
func (n Namespaces) unlabel(ctx context.Context, c *kube.Client, name string) error {
	return c.Apply(ctx, kube.Namespace(name, nil))
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
		if labels[label] == "" && setByUs(&found, label) {
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

// setByUs says whether a label is there because we have applied it.
func setByUs(found *corev1.Namespace, label string) bool {
	for _, entry := range found.ManagedFields {
		if entry.Manager == topology.FieldManager && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+label+`"`) {
			return true
		}
	}
	return false
}

// otherInjection refuses istio-injection on a namespace that a revision shall inject: Istio heeds
// the former and not the latter when both are there (templates/mutatingwebhook.yaml).
func otherInjection(found *corev1.Namespace, key, value string) error {
	if has, ok := found.Labels[topology.LabelInjection]; ok && key != topology.LabelInjection && !setByUs(found, topology.LabelInjection) {
		return fmt.Errorf("namespace %s is labelled %s=%s, which goes before %s=%s", found.Name, topology.LabelInjection, has, key, value)
	}
	return nil
}
