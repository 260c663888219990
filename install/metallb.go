// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// metallbRelease is also what its chart puts before the names of its workloads.
	metallbRelease = "metallb"
	// metallbPool names the IPAddressPool and the L2Advertisement.
	metallbPool = "meshfed"
	// excludeLabel keeps a node out of load balancing; kubeadm sets it on control planes
	// (https://kubernetes.io/docs/reference/labels-annotations-taints/).
	excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"
)

// MetalLB gives addresses to Services of type LoadBalancer, in layer 2 mode.
type MetalLB struct {
	Mesh
	// Chart is MetalLB's own, as the bundle has it: a .tgz or a directory.
	Chart string
	// Addresses are ranges first-last or CIDRs of the container network.
	Addresses []string
	// IgnoreExcluded lets nodes take load-balancer traffic although a label says that they do
	// not; else the label is taken away.
	IgnoreExcluded bool
}

// Release is the chart with values for one layer 2 pool.
func (l MetalLB) Release() Release {
	values := l.values()
	if l.IgnoreExcluded {
		values = overlay(values, map[string]any{"speaker": map[string]any{"ignoreExcludeLB": true}})
	}
	return Release{
		Name: metallbRelease, Namespace: topology.MetalLBNamespace,
		Chart: Chart{File: l.Chart}, Labels: l.labels(), Values: values,
		Adjust: withoutWebhooks,
		Wait: []Workload{
			{Kind: "Deployment", Name: metallbRelease + "-controller"},
			{Kind: "DaemonSet", Name: metallbRelease + "-speaker"},
		},
	}
}

func (l MetalLB) values() map[string]any {
	readiness := map[string]any{"initialDelaySeconds": 0, "periodSeconds": 1}
	image := func(name string) map[string]any {
		return map[string]any{"repository": l.hub(metallbHub) + "/" + name, "pullPolicy": "IfNotPresent"}
	}
	values := map[string]any{
		"controller": map[string]any{
			"image": image("controller"),
			// With its webhooks the controller makes a certificate and then restarts itself,
			// often into a back-off of a minute. We check the pool ourselves.
			"webhookMode":    "disabled",
			"readinessProbe": readiness,
		},
		"speaker": map[string]any{
			"image": image("speaker"),
			// BGP is not used.
			"frr":            map[string]any{"enabled": false},
			"readinessProbe": readiness,
			// Speakers on every node need no gossip, and so not wait for the secret that
			// the controller makes for it.
			"memberlist": map[string]any{"enabled": false},
		},
	}
	if secret := l.Topology.Spec.Images.PullSecret; secret != "" {
		values["imagePullSecrets"] = []any{map[string]any{"name": secret}}
	}
	return values
}

// withoutWebhooks drops what the chart renders for webhooks although they are disabled: a
// configuration that nobody answers for, and the volume of a certificate that nobody makes.
// It also says how many controllers there are.
func withoutWebhooks(u *unstructured.Unstructured) bool {
	switch {
	case u.GetKind() == "ValidatingWebhookConfiguration",
		u.GetKind() == "Secret" && u.GetName() == "metallb-webhook-cert",
		u.GetKind() == "Service" && u.GetName() == "metallb-webhook-service":
		return false
	case u.GetKind() == "Deployment":
		dropVolume(u, "cert")
		// The chart leaves it to the API server; unset, a controller that someone has scaled
		// to 0 would be no drift, and no upgrade would bring it back.
		_ = unstructured.SetNestedField(u.Object, int64(1), "spec", "replicas")
	case u.GetKind() == "CustomResourceDefinition":
		// Conversion by a webhook that is not there would fail; all versions but one are
		// unused.
		unstructured.RemoveNestedField(u.Object, "spec", "conversion")
	}
	return keepDefinitions(u)
}

// dropVolume removes a volume from a workload's pods and its mounts from their containers.
func dropVolume(u *unstructured.Unstructured, name string) {
	pod, found, _ := unstructured.NestedMap(u.Object, "spec", "template", "spec")
	if !found {
		return
	}
	pod["volumes"] = withoutNamed(pod["volumes"], name)
	containers, _ := pod["containers"].([]any)
	for _, each := range containers {
		if container, ok := each.(map[string]any); ok {
			container["volumeMounts"] = withoutNamed(container["volumeMounts"], name)
		}
	}
	_ = unstructured.SetNestedMap(u.Object, pod, "spec", "template", "spec")
}

func withoutNamed(list any, name string) []any {
	all, _ := list.([]any)
	kept := []any{}
	for _, each := range all {
		if entry, ok := each.(map[string]any); !ok || entry["name"] != name {
			kept = append(kept, each)
		}
	}
	return kept
}

// Look implements Part. A pool that is not valid is an error.
func (l MetalLB) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	if err := CheckPool(l.Addresses); err != nil {
		return graph.Change{}, c.Explain(err, "looking at the address pool")
	}
	change, err := l.Release().Look(ctx, c)
	if err != nil || change.Needed() {
		return change, err
	}
	for _, obj := range l.objects() {
		if change, err := c.Look(ctx, obj); err != nil || change.Needed() {
			return change, err
		}
	}
	excluded, err := l.excluded(ctx, c)
	if err != nil || l.IgnoreExcluded || len(excluded) == 0 {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("node %s is excluded from load balancing", excluded[0].Name)}, nil
}

// Do implements Part: it returns when controller and speakers are ready and the pool is
// there.
func (l MetalLB) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	if err := CheckPool(l.Addresses); err != nil {
		return c.Explain(err, "looking at the address pool")
	}
	objects := l.objects()
	if err := c.Apply(ctx, objects[0]); err != nil {
		return err
	}
	if !l.IgnoreExcluded {
		if err := l.include(ctx, c); err != nil {
			return err
		}
	}
	release := l.Release()
	workloads := release.Wait
	release.Wait = nil
	if err := release.Do(ctx, c, change); err != nil {
		return err
	}
	// The pool needs the definitions only, which take a moment to be served.
	err := until(ctx, c, "MetalLB's definitions", func(ctx context.Context) (bool, string, error) {
		err := c.Apply(ctx, objects[1:]...)
		return err == nil, "MetalLB's definitions are not served yet", err
	})
	if err != nil {
		return err
	}
	return waitReady(ctx, c, topology.MetalLBNamespace, workloads)
}

// Remove uninstalls MetalLB, takes the addresses of its pool from the Services that have them, and
// lets go of its namespace and of its definitions, and waits until they are gone. One that is not
// ours stays.
func (l MetalLB) Remove(ctx context.Context, c *kube.Client) error {
	// A controller that still runs would give the addresses again.
	if err := l.takeAway(ctx, c, l.Release(), map[string]string{"app.kubernetes.io/name": metallbRelease}); err != nil {
		return err
	}
	if err := l.removePool(ctx, c); err != nil {
		return err
	}
	if err := l.leave(ctx, c, topology.MetalLBNamespace); err != nil {
		return err
	}
	return removeDefinitions(ctx, c, l.Mesh, metallbGroups)
}

// LookRemove implements Removal.
func (l MetalLB) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	release, err := l.Release().LookRemove(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	var names []string
	if release.Needed() {
		names = append(names, release.Reason)
	}
	var found corev1.Namespace
	err = c.Get(ctx, client.ObjectKey{Name: topology.MetalLBNamespace}, &found)
	if err != nil && !kube.Absent(err) {
		return graph.Change{}, c.Explain(err, "reading namespace "+topology.MetalLBNamespace)
	}
	if owned(&found, l.Mesh) {
		left, err := l.leaving(ctx, c, found)
		if err != nil {
			return graph.Change{}, err
		}
		names = append(names, left.String())
	}
	definitions, err := lookAtDefinitions(ctx, c, l.Mesh, metallbGroups)
	return there(append(names, definitions...)...), err
}

// excluded lists the nodes that carry the label by which kubeadm keeps control planes out
// of load balancing; on a cluster of one node that leaves none.
func (l MetalLB) excluded(ctx context.Context, c *kube.Client) ([]corev1.Node, error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes, client.HasLabels{excludeLabel}); err != nil {
		return nil, c.Explain(err, "listing nodes")
	}
	return nodes.Items, nil
}

func (l MetalLB) include(ctx context.Context, c *kube.Client) error {
	nodes, err := l.excluded(ctx, c)
	if err != nil {
		return err
	}
	for i := range nodes {
		before := nodes[i].DeepCopy()
		delete(nodes[i].Labels, excludeLabel)
		if err := c.Patch(ctx, &nodes[i], client.MergeFrom(before)); err != nil {
			return c.Explain(err, "letting node "+nodes[i].Name+" take load-balancer traffic")
		}
	}
	return nil
}
