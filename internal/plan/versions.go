// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// istioSkew is by how many minor versions parts of one mesh may differ. For istiod and proxies:
// https://istio.io/latest/docs/releases/supported-releases/ (istiod may be one ahead of proxies,
// proxies never ahead of istiod). Control planes that read each other's clusters are held to the
// same number, which is what an upgrade one cluster after the other needs.
const istioSkew = 1

// SettleVersion decides which Istio is installed, before anything is changed: what the file names,
// else what runs, else what is built in. It refuses another minor version than the one that runs,
// and versions that Istio does not support together; what is only doubtful is returned as
// warnings. It looks at every cluster that answers, changes none, and is idempotent.
func (m *Mesh) SettleVersion(ctx context.Context) (warnings []string, err error) {
	// A cluster that does not answer, or not fully, is its own step's business; Istio's steps look
	// at the version once more.
	live, _ := m.live(ctx, m.Topology.Names())
	planes := map[string][]install.ControlPlane{}
	for name, c := range live {
		found, err := install.ControlPlanes(ctx, c)
		if err != nil {
			delete(live, name)
			continue
		}
		planes[name] = found
	}
	if err := m.keepVersion(planes); err != nil {
		return nil, err
	}
	for _, name := range m.Topology.Names() {
		c, ok := live[name]
		if !ok {
			continue
		}
		more, err := m.goesWith(name, planes[name])
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
		if !m.selected(name) {
			continue
		}
		if more, err = m.fitsCluster(ctx, c); err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	return warnings, nil
}

// keepVersion makes what runs the topology's version when the file names none.
func (m *Mesh) keepVersion(planes map[string][]install.ControlPlane) error {
	if m.Topology.Spec.Istio.Version != "" {
		return nil
	}
	in, kept, where := m.install(), "", ""
	for _, name := range m.Topology.Names() {
		for _, p := range planes[name] {
			switch {
			case !in.Replaces(p) || p.Version == "":
			case kept == "":
				kept, where = p.Version, name
			case kept != p.Version:
				return diag.Hint(fmt.Errorf("%s runs Istio %s and %s runs %s, and the file names no version", where, kept, name, p.Version),
					"write spec.istio.version: "+newer(kept, p.Version))
			}
		}
	}
	named := m.Topology.Spec.Istio.Charts != topology.Charts{}
	if kept != "" && !named && topology.Minor(kept) != topology.Minor(topology.IstioVersion) {
		return diag.Hint(fmt.Errorf("%s runs Istio %s, which the file does not name, and the charts that are built in are those of %s", where, kept, topology.IstioVersion),
			fmt.Sprintf("up never changes a minor version: write spec.istio.version: %s and name charts of it in spec.istio.charts", kept))
	}
	m.Topology.Spec.Istio.Version = kept
	return nil
}

// newer is the later of two versions of one minor version; of others, the first.
func newer(one, other string) string {
	var patches [2]int
	for i, v := range []string{one, other} {
		_, _ = fmt.Sscanf(strings.TrimPrefix(v, topology.Minor(v)), ".%d", &patches[i])
	}
	if topology.Minor(one) == topology.Minor(other) && patches[1] > patches[0] {
		return other
	}
	return one
}

// goesWith judges the control planes of a cluster against the version to install.
func (m *Mesh) goesWith(name string, planes []install.ControlPlane) (warnings []string, err error) {
	in, want := m.install(), m.Topology.IstioRelease()
	for _, p := range planes {
		if m.selected(name) {
			if err := in.Allows(p); err != nil {
				return nil, diag.Op(err, name, "looking at "+p.Name)
			}
		}
		skew, err := topology.MinorSkew(want, p.Version)
		if err != nil || skew == 0 {
			continue
		}
		if skew > istioSkew || skew < -istioSkew {
			return nil, diag.Op(diag.Hint(fmt.Errorf("%s is Istio %s, and Istio %s is to be installed: control planes of one mesh may be %d minor version apart", p.Name, p.Version, want, istioSkew),
				"write a spec.istio.version that goes with both, or bring that control plane nearer first"), name, "comparing versions")
		}
		warnings = append(warnings, fmt.Sprintf("%s: %s is Istio %s, and the file says %s: that is supported while one follows the other, not for long", name, p.Name, p.Version, want))
	}
	return warnings, nil
}

// fitsCluster judges a live cluster's Kubernetes and proxies against the version to install.
func (m *Mesh) fitsCluster(ctx context.Context, c *kube.Client) (warnings []string, err error) {
	want := m.Topology.IstioRelease()
	var pods corev1.PodList
	version, err := c.Version(ctx)
	if err == nil {
		err = c.List(ctx, &pods)
	}
	if err != nil {
		return nil, nil // as above
	}
	refused, warning := topology.KubernetesFits(want, version)
	if refused != "" {
		return nil, diag.Op(diag.Hint(fmt.Errorf("%s", refused), "bring Kubernetes to one of them, or write a spec.istio.version that supports it"), c.Cluster, "comparing versions")
	}
	if warning != "" {
		warnings = append(warnings, c.Cluster+": "+warning)
	}
	if warning := proxiesFit(want, pods.Items); warning != "" {
		warnings = append(warnings, c.Cluster+": "+warning)
	}
	return warnings, nil
}

// proxiesFit says which proxies an istiod of a version would not support, or nothing.
func proxiesFit(istiod string, pods []corev1.Pod) string {
	count, first := 0, ""
	for i := range pods {
		version := proxyVersion(&pods[i])
		skew, err := topology.MinorSkew(istiod, version)
		if err != nil || skew >= 0 && skew <= istioSkew {
			continue
		}
		if count++; first == "" {
			first = fmt.Sprintf("%s/%s has %s", pods[i].Namespace, pods[i].Name, version)
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("%d proxies do not go with istiod %s, which may be %d minor version ahead of them and never behind: %s; restart their pods", count, istiod, istioSkew, first)
}

// proxyVersion is the version in the tag of a pod's proxy image, or nothing.
func proxyVersion(pod *corev1.Pod) string {
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == "istio-proxy" {
				image, _, _ := strings.Cut(containers[i].Image, "@")
				return image[strings.LastIndex(image, ":")+1:]
			}
		}
	}
	return ""
}
