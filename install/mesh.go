// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// istioHub is where Istio publishes its release images
	// (https://istio.io/latest/docs/setup/additional-setup/customize-installation/).
	istioHub = "docker.io/istio"
	// metallbHub is where MetalLB publishes its images (values.yaml of its chart).
	metallbHub = "quay.io/metallb"
)

// Part is one thing in one cluster.
type Part interface {
	// Look finds out what is to be done in the client's cluster; it changes nothing.
	Look(ctx context.Context, c *kube.Client) (graph.Change, error)
	// Do makes it so and returns when it is; it blocks, stops when ctx ends, and is
	// idempotent.
	Do(ctx context.Context, c *kube.Client, change graph.Change) error
	// Remove takes it away again if it is ours; absent is success.
	Remove(ctx context.Context, c *kube.Client) error
}

// The parts, in the order in which they build on each other.
var (
	_ Part = MetalLB{}
	_ Part = SystemNamespace{}
	_ Part = CACerts{}
	_ Part = IstioBase{}
	_ Part = Istiod{}
	_ Part = ExternalService{}
	_ Part = RemoteIstiod{}
	_ Part = Injection{}
	_ Part = MeshMTLS{}
	_ Part = PullSecret{}
	_ Part = IngressGateway{}
	_ Part = EastWestGateway{}
	_ Part = Namespaces{}
)

// Mesh is what every part knows: the whole topology, who owns it, and what the images at
// hand ask for. Which cluster is meant follows from the client.
type Mesh struct {
	// Topology is what shall exist.
	Topology *topology.Topology
	// Owner is the owner id that labels carry.
	Owner string
	// Settings follow from the images at hand.
	Settings Settings
	// Charts are the paths of Istio's charts by name (base, istiod, gateway), packed or as
	// folders; those that it does not name are built in.
	Charts map[string]string
	// Kept is told of what Remove leaves in a cluster and why, once for each; nil tells nobody.
	Kept func(cluster, what string)
}

// keeps says that something is not removed.
func (m Mesh) keeps(ctx context.Context, c *kube.Client, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	graph.State(ctx, "%s", what)
	if m.Kept != nil {
		m.Kept(c.Cluster, what)
	}
}

// Settings are properties of the images at hand that Istio must be told of.
type Settings struct {
	// UpstreamEnvoy says that the proxy image holds upstream Envoy: Istio's own filters
	// (metadata exchange, ALPN, stats) are not in it and must not be configured.
	UpstreamEnvoy bool
}

// cluster is the topology's entry for the client's cluster.
func (m Mesh) cluster(c *kube.Client) (*topology.Cluster, error) {
	if found := m.Topology.Cluster(c.Cluster); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("cluster %q is not in topology %s", c.Cluster, m.Topology.Metadata.Name)
}

// isExternal says whether the client's cluster runs an istiod that reads another one.
func (m Mesh) isExternal(c *kube.Client) bool {
	cluster := m.Topology.Cluster(c.Cluster)
	return cluster != nil && cluster.IsExternal()
}

// labels mark an object as ours.
func (m Mesh) labels() map[string]string {
	return (*kube.Client)(nil).Owned(m.Topology, m.Owner)
}

// owned says whether an object carries our topology and owner. Before there is an owner nothing is
// ours: what was rendered carries the topology alone.
func owned(obj client.Object, m Mesh) bool { return m.ours(obj.GetLabels()) }

func (m Mesh) ours(labels map[string]string) bool {
	return m.Owner != "" && labels[topology.LabelOwner] == m.Owner && labels[topology.LabelTopology] == m.Topology.Metadata.Name
}

// hub is a registry path with the topology's mirror in place of the registry.
func (m Mesh) hub(published string) string {
	if mirror := images.Mirror(m.Topology); mirror != "" {
		return images.On(mirror, published)
	}
	return published
}

// pullSecrets are the names of the secrets that nodes use to pull, or nil.
func (m Mesh) pullSecrets() []any {
	if m.Topology.Spec.Images.PullSecret == "" {
		return nil
	}
	return []any{m.Topology.Spec.Images.PullSecret}
}

// chart is one of Istio's charts, at the version of the topology. Charts that the user brings
// say themselves which version they are.
func (m Mesh) chart(folder string) (Chart, error) {
	if path := m.Charts[chartName(folder)]; path != "" {
		return Chart{File: path}, nil
	}
	chart, err := istioChart(folder)
	chart.Version = m.Topology.IstioRelease()
	return chart, err
}

// small says whether the cluster is one that we made on this machine, where resource
// requests fit for production would leave no room.
func small(cluster *topology.Cluster) bool {
	return cluster.Provider.Kubeconfig == nil && cluster.Provider.ClusterAPI == nil
}
