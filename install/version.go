// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// ControlPlane is an istiod that is there, of whatever revision and whoever made it.
type ControlPlane struct {
	// Name of its Deployment.
	Name string
	// Revision is its name among the control planes of a cluster: default, or the revision.
	Revision string
	// Version is that of its chart, else of its image; empty when neither says one.
	Version string
	// Labels are the Deployment's.
	Labels map[string]string
}

// ControlPlanes lists every istiod in istio-system, by name; none is an empty list. It looks once.
func ControlPlanes(ctx context.Context, c *kube.Client) ([]ControlPlane, error) {
	var found appsv1.DeploymentList
	if err := c.List(ctx, &found, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{"app": "istiod"}); err != nil {
		return nil, c.Explain(err, "looking for control planes")
	}
	var all []ControlPlane
	for i := range found.Items {
		d := &found.Items[i]
		all = append(all, ControlPlane{Name: d.Name, Revision: topology.RevisionOf(d.Labels), Version: versionOf(d), Labels: d.Labels})
	}
	slices.SortFunc(all, func(a, b ControlPlane) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// versionOf reads the labels of Istio's charts (templates/zzz_profile.yaml): the chart's version is
// what spec.istio.version names, and images may be pinned to another tag.
func versionOf(d *appsv1.Deployment) string {
	said := []string{strings.TrimPrefix(d.Labels["helm.sh/chart"], "istiod-"), d.Labels["app.kubernetes.io/version"]}
	for _, container := range d.Spec.Template.Spec.Containers {
		if container.Name == "discovery" {
			image, _, _ := strings.Cut(container.Image, "@")
			said = append(said, image[strings.LastIndex(image, ":")+1:])
		}
	}
	for _, version := range said {
		if topology.Minor(version) != "" {
			return version
		}
	}
	return ""
}

// keepsVersion refuses what Allows does not, in a client's cluster.
func (m Mesh) keepsVersion(ctx context.Context, c *kube.Client) error {
	planes, err := ControlPlanes(ctx, c)
	if err != nil {
		return err
	}
	for _, p := range planes {
		if err := m.Allows(p); err != nil {
			return diag.Op(err, c.Cluster, "looking at "+p.Name)
		}
	}
	return nil
}

// Replaces says whether an istiod is ours, or has the name of the one that the topology wants.
func (m Mesh) Replaces(p ControlPlane) bool {
	return p.Name == m.Topology.IstiodName() || m.ours(p.Labels)
}

// Allows refuses what would be an upgrade: another minor version than that of an istiod which is
// ours or would be replaced, or another revision. Other istiods are none of its business. It is pure.
func (m Mesh) Allows(p ControlPlane) error {
	if !m.Replaces(p) {
		return nil
	}
	if want := m.Topology.RevisionName(); p.Revision != want {
		return diag.Hint(fmt.Errorf("istiod of revision %s runs, and the file says %s: changing the revision of a live mesh is an upgrade, which is planned, but not built yet", p.Revision, want),
			fmt.Sprintf("put %s back", said("spec.istio.revision", p.Revision)))
	}
	want := m.Topology.IstioRelease()
	if p.Version == "" || topology.Minor(p.Version) == topology.Minor(want) {
		return nil
	}
	change := "an upgrade"
	if skew, err := topology.MinorSkew(want, p.Version); err == nil && skew < 0 {
		change = "a downgrade"
	}
	return diag.Hint(fmt.Errorf("version %s of Istio runs, and the file says %s: up never changes a minor version, and %s is planned, but not built yet", p.Version, want, change),
		fmt.Sprintf("write spec.istio.version: %s and charts of it, or remove the version: what runs is kept", p.Version))
}

// said is how a file says a revision.
func said(field, revision string) string {
	if revision == topology.DefaultRevision {
		revision = `""`
	}
	return field + ": " + revision
}
