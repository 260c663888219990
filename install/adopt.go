// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	"helm.sh/helm/v4/pkg/action"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// labelAdopted marks the record of a release that somebody else installed before it was taken
// over. Its objects get no label of ours, and Remove gives it back instead of uninstalling it.
const labelAdopted = "meshfed.io/adopted"

// adopts says whether the file lets what is in the client's cluster be taken over.
func (m Mesh) adopts(c *kube.Client) bool {
	cluster := m.Topology.Cluster(c.Cluster)
	return cluster != nil && cluster.IsExisting() && cluster.Provider.Kubeconfig.Adopt
}

// adoptable says that a release is nobody's of this program, and may be taken over.
func (r Release) adoptable(last *helmrelease.Release) bool {
	return r.Adopt && last.Labels[topology.LabelTopology] == "" && last.Labels[topology.LabelOwner] == ""
}

// wasThere says whether what the release installs was there before it, so that it is somebody
// else's: an earlier release, or objects that no release of Helm made.
func (r Release) wasThere(ctx context.Context, c *kube.Client, last *helmrelease.Release) (bool, error) {
	if !r.Adopt {
		return false, nil
	}
	if last != nil {
		return r.adoptable(last) || last.Labels[labelAdopted] != "", nil
	}
	var signs []client.Object
	for _, w := range r.Wait {
		if w.Kind == "Deployment" {
			signs = append(signs, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: w.Name}})
		}
	}
	if r.Name == baseRelease {
		signs = append(signs, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: topology.ReaderServiceAccount}})
	}
	for _, sign := range signs {
		err := c.Get(ctx, client.ObjectKeyFromObject(sign), sign)
		switch {
		case err == nil && sign.GetLabels()[topology.LabelOwner] == "":
			return true, nil
		case err != nil && !kube.Absent(err):
			return false, c.Explain(err, "looking whether "+sign.GetName()+" was there")
		}
	}
	return false, nil
}

// adopted is the release as it is installed over what was there: its labels go on the record
// only, and values of an earlier release stay where ours say nothing.
func (r Release) adopted(ctx context.Context, c *kube.Client, cfg *action.Configuration, labels map[string]string) (Release, error) {
	last, err := r.last(cfg)
	if err != nil {
		return r, err
	}
	there, err := r.wasThere(ctx, c, last)
	if err != nil || !there {
		return r, err
	}
	labels[labelAdopted], r.Labels = "true", nil
	if last != nil {
		r.Values = overlay(last.Config, r.Values)
	}
	return r, nil
}

// giveBack makes a release that was taken over nobody's of ours again. It runs on as it is.
func (r Release) giveBack(cfg *action.Configuration, last *helmrelease.Release) error {
	for _, label := range []string{topology.LabelTopology, topology.LabelOwner, labelAdopted, labelChart, labelValues} {
		delete(last.Labels, label)
	}
	if err := cfg.Releases.Update(last); err != nil {
		return fmt.Errorf("giving release %s back: %w", r.Name, err)
	}
	return nil
}

// foreignDefinitions are the names of Istio's definitions that were there before us. They are
// left as they are: others may have objects of them.
func (b IstioBase) foreignDefinitions(ctx context.Context, c *kube.Client) (map[string]bool, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(definitionKind.GroupVersion().WithKind("CustomResourceDefinitionList"))
	if err := c.List(ctx, &list); err != nil {
		return nil, c.Explain(err, "listing definitions")
	}
	foreign := map[string]bool{}
	for i := range list.Items {
		foreign[list.Items[i].Name] = !owned(&list.Items[i], b.Mesh)
	}
	return foreign, nil
}

// withDefinitions is the release as it is installed: without definitions that are somebody
// else's, unless those are taken over.
func (b IstioBase) withDefinitions(ctx context.Context, c *kube.Client) (Release, error) {
	r, err := b.Release(c)
	if err != nil {
		return r, err
	}
	if r.Adopt = b.adopts(c); r.Adopt {
		return r, nil
	}
	foreign, err := b.foreignDefinitions(ctx, c)
	if err != nil {
		return r, err
	}
	r.Adjust = func(u *unstructured.Unstructured) bool {
		if u.GetKind() == definitionKind.Kind && foreign[u.GetName()] {
			return false
		}
		return keepDefinitions(u)
	}
	return r, nil
}

// Do implements Part.
func (b IstioBase) Do(ctx context.Context, c *kube.Client, change graph.Change) error {
	return do(ctx, c, change, func() (Release, error) { return b.withDefinitions(ctx, c) })
}
