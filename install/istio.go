// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// baseRelease and istiodRelease are the release names of Istio's installation guide.
	baseRelease   = "istio-base"
	istiodRelease = "istiod"
	// keepPolicy makes Helm leave an object when its release goes
	// (https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource).
	keepPolicy = "helm.sh/resource-policy"
)

// IstioBase is Istio's definitions and what all revisions of a control plane share.
type IstioBase struct{ Mesh }

// Release is the chart with the values of the client's cluster.
func (b IstioBase) Release(c *kube.Client) (Release, error) {
	cluster, err := b.cluster(c)
	if err != nil {
		return Release{}, err
	}
	chart, err := b.chart("base")
	return Release{
		Name: baseRelease, Namespace: topology.SystemNamespace,
		Chart: chart, Labels: b.labels(), Values: b.Values(cluster),
		Adjust: keepDefinitions,
	}, err
}

// Values are the base chart's values for a cluster.
func (b IstioBase) Values(cluster *topology.Cluster) map[string]any {
	values := map[string]any{}
	if revision := b.Topology.Spec.Istio.Revision; revision != "" {
		// The istiod that validates Istio's objects for all revisions.
		values["defaultRevision"] = revision
	}
	if profile := b.profile(); profile != "" {
		values["profile"] = profile
	}
	if secrets := b.pullSecrets(); secrets != nil {
		values["global"] = map[string]any{"imagePullSecrets": secrets}
	}
	if !cluster.HoldsConfig() {
		// Nobody reads Istio's objects here, and no istiod would make its validator work.
		values["defaultRevision"] = ""
	}
	return values
}

// Look implements Part.
func (b IstioBase) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	if err := b.keepsVersion(ctx, c); err != nil {
		return graph.Change{}, err
	}
	return look(ctx, c, func() (Release, error) {
		r, err := b.Release(c)
		r.Adopt = b.adopts(c)
		return r, err
	})
}

// keepDefinitions marks custom resource definitions to be kept by Helm: deleting one
// deletes every object of its kind, whoever made it. Remove decides about them itself.
func keepDefinitions(u *unstructured.Unstructured) bool {
	if u.GetKind() == "CustomResourceDefinition" {
		annotations := u.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[keepPolicy] = "keep"
		u.SetAnnotations(annotations)
	}
	return true
}

// Istiod is the control plane of a cluster. SystemNamespace and CACerts must be there
// before: istiod reads cacerts when it starts, and signs with a root of its own when there
// is none. IstioBase may come beside it: istiod is ready without Istio's definitions and
// takes up each as it appears; only Istio's own objects must wait for both.
type Istiod struct{ Mesh }

// Release is the chart with the values of the client's cluster.
func (i Istiod) Release(c *kube.Client) (Release, error) {
	cluster, err := i.cluster(c)
	if err != nil {
		return Release{}, err
	}
	chart, err := i.chart("istio-control/istio-discovery")
	if err != nil {
		return Release{}, err
	}
	release := Release{
		Name: i.Topology.IstiodName(), Namespace: topology.SystemNamespace,
		Chart: chart, Labels: i.labels(), Values: i.Values(cluster),
		Wait:  []Workload{{Kind: "Deployment", Name: i.Topology.IstiodName()}},
		Adopt: i.adopts(c),
	}
	if small(cluster) {
		release.Adjust = probeOften
	}
	return release, nil
}

// Look implements Part. It says update as well while pods can not be injected yet, and refuses
// another minor version or revision than the one that runs.
func (i Istiod) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	if err := i.keepsVersion(ctx, c); err != nil {
		return graph.Change{}, err
	}
	change, err := look(ctx, c, func() (Release, error) { return i.Release(c) })
	if err != nil || change.Needed() || i.isExternal(c) {
		return change, err
	}
	ready, state, err := i.webhook(ctx, c, nil)
	if err != nil || ready {
		return change, err
	}
	return graph.Change{Action: graph.Update, Reason: state}, nil
}

// Do implements Part. When it returns, istiod is ready and pods can be injected in its own
// cluster, unless it is external.
func (i Istiod) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	if err := do(ctx, c, change, func() (Release, error) { return i.Release(c) }); err != nil || i.isExternal(c) {
		return err
	}
	return i.waitForWebhook(ctx, c, nil)
}

// Remove uninstalls istiod. What istiod itself has made stays: see Leftovers.
func (i Istiod) Remove(ctx context.Context, c *kube.Client) error {
	change, err := i.LookRemove(ctx, c)
	if err != nil || !change.Needed() {
		return err
	}
	return i.takeAway(ctx, c, i.named(i.Topology.IstiodName()), map[string]string{"app": "istiod", topology.LabelRevision: i.Topology.RevisionName()})
}

// probeOften makes istiod ready as soon as it is: the chart asks every 3 s, from the
// second second on, which on a cluster of our own costs a second or two for nothing.
func probeOften(u *unstructured.Unstructured) bool {
	if u.GetKind() != "Deployment" {
		return true
	}
	containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	for _, each := range containers {
		container, ok := each.(map[string]any)
		if !ok {
			continue
		}
		if probe, ok := container["readinessProbe"].(map[string]any); ok {
			probe["initialDelaySeconds"] = int64(0)
			probe["periodSeconds"] = int64(1)
		}
	}
	if len(containers) > 0 {
		_ = unstructured.SetNestedSlice(u.Object, containers, "spec", "template", "spec", "containers")
	}
	return true
}

func look(ctx context.Context, c *kube.Client, release func() (Release, error)) (graph.Change, error) {
	r, err := release()
	if err != nil {
		return graph.Change{}, err
	}
	return r.Look(ctx, c)
}

func do(ctx context.Context, c *kube.Client, change graph.Change, release func() (Release, error)) error {
	r, err := release()
	if err != nil {
		return err
	}
	return r.Do(ctx, c, change)
}
