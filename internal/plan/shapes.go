// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"time"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// controlPlane lists the steps of a cluster from its namespace to pods that are injected: by an
// istiod of its own, or by that of another cluster.
func (m *Mesh) controlPlane(c *topology.Cluster, in install.Mesh) []graph.Step {
	var steps []graph.Step
	on := func(step, title string, timeout, expected time.Duration, p part, needs ...string) {
		steps = append(steps, m.on(c.Name, step+"@"+c.Name, title, timeout, expected, p, needs...))
	}
	namespace := "namespace@" + c.Name
	if c.IsPrimary() {
		on("cacerts", "intermediate CA", minutes(12), seconds(1), managed(c.Manage.CACerts, "cacerts", m.caCerts(in), install.OthersCACerts{CACerts: m.caCerts(in)}), namespace, "root")
	}
	if c.IsMember() {
		on("istio-base", "Istio's custom resources", minutes(3), seconds(8), managed(c.Manage.Istio, "istio", install.IstioBase{Mesh: in}, install.OthersDefinitions{Mesh: in}), namespace)
	}
	if !c.IsPrimary() {
		return append(steps, m.served(c, in)...)
	}
	steps = append(steps, m.external(c, in)...)
	on("istiod", "Istio control plane", minutes(6), seconds(9), managed(c.Manage.Istio, "istio", install.Istiod{Mesh: in}, install.OthersIstio{Mesh: in}), append(m.reads(c), "cacerts@"+c.Name)...)
	return steps
}

// injects is the step after which pods of a cluster are injected.
func (m *Mesh) injects(name string) string {
	if m.Topology.Cluster(name).IsPrimary() {
		return "istiod@" + name
	}
	return "injection@" + name
}

// served lists the steps of a cluster that another one's istiod serves, from the namespace to
// pods that are injected.
func (m *Mesh) served(c *topology.Cluster, in install.Mesh) []graph.Step {
	pair := topology.Pair{From: c.Name, To: c.Primary}
	way, taken := []string{"eastwest@" + c.Primary}, []string{"istiod@" + c.Primary, "expose-istiod@" + c.Primary, "eastwest@" + c.Primary}
	if m.Topology.Cluster(c.Primary).IsExternal() {
		way, taken = []string{"serve@" + c.Primary}, []string{"istiod@" + c.Primary}
	}
	if !m.selected(c.Primary) {
		way, taken = nil, nil // what is not worked on is there already, or the step says that it is not
	} else if !c.HoldsConfig() {
		taken = append(taken, "remote-secret@"+c.Primary+":"+c.Name)
	}
	remote := m.istiodOf(c.Name)
	return []graph.Step{
		m.between(pair, remote, "Istio, served by "+c.Primary, minutes(6), seconds(3), m.remoteIstiod, append(way, "namespace@"+c.Name)...),
		m.on(c.Name, "injection@"+c.Name, "pods injected by istiod of "+c.Primary, minutes(6), seconds(3), install.Injection{Mesh: in},
			append(taken, remote)...),
	}
}

// external lists what an external control plane needs besides an istiod: an address, and the
// credentials for the cluster that it reads.
func (m *Mesh) external(c *topology.Cluster, in install.Mesh) []graph.Step {
	if !c.IsExternal() {
		return nil
	}
	needs := []string{"namespace@" + c.Name}
	if m.balancer(c, in) != nil {
		needs = []string{"loadbalancer@" + c.Name, "namespace@" + c.Name}
	}
	serve := m.on(c.Name, "serve@"+c.Name, "istiod reachable for the clusters that it serves", minutes(6), seconds(1), install.ExternalService{Mesh: in}, needs...)
	if !m.selected(c.Config) {
		return []graph.Step{serve}
	}
	pair := topology.Pair{From: c.Name, To: c.Config}
	return []graph.Step{serve, m.between(pair, "istio-kubeconfig@"+c.Name+":"+c.Config, "credentials of istiod for "+c.Config, minutes(3), seconds(1),
		m.istiodKubeconfig, m.istiodOf(c.Config), "namespace@"+c.Name)}
}

// reads lists the step by which an external istiod is told what it reads.
func (m *Mesh) reads(c *topology.Cluster) []string {
	if !c.IsExternal() || !m.selected(c.Config) {
		return nil
	}
	return []string{"istio-kubeconfig@" + c.Name + ":" + c.Config}
}

// istiodOf is the step that makes Istio's rights and accounts in a cluster.
func (m *Mesh) istiodOf(name string) string {
	if m.Topology.Cluster(name).IsPrimary() {
		return "istiod@" + name
	}
	return "istiod-remote@" + name
}

// remoteIstiod leads the first cluster of a pair to the istiod in the second, where that is now.
func (m *Mesh) remoteIstiod(ctx context.Context, pair topology.Pair, primary *kube.Client) (part, error) {
	address, err := m.istiodAddress(ctx, pair.To, primary)
	return install.RemoteIstiod{Mesh: m.install(), Address: address}, err
}

// istiodAddress is where the clusters that a cluster's istiod serves reach it; empty when it
// has no address yet.
func (m *Mesh) istiodAddress(ctx context.Context, name string, c *kube.Client) (string, error) {
	declared := m.Topology.Cluster(name)
	if len(declared.EastWest.Addresses) > 0 {
		return declared.EastWest.Addresses[0], nil
	}
	service := topology.EastWestGateway
	if declared.IsExternal() {
		service = topology.IstiodExternal
	}
	address, _, err := install.Address(ctx, c, service)
	return address, err
}

// istiodService is the name of istiod's Service, and of its account.
func (m *Mesh) istiodService() string { return m.Topology.IstiodName() }

func (m *Mesh) istiodExposure() federation.IstiodExposure {
	return federation.IstiodExposure{Service: m.istiodService(), Labels: m.Labels()}
}

// istiodKubeconfig is what the istiod in the first cluster of a pair reads the second with.
func (m *Mesh) istiodKubeconfig(ctx context.Context, pair topology.Pair, config *kube.Client) (part, error) {
	server, err := m.peerServer(ctx, pair.To)
	if err != nil {
		return nil, err
	}
	return between{func(c *kube.Client) work {
		return federation.IstiodKubeconfig{
			In: c, Of: config, Server: server, Account: m.istiodService(),
			Lifetime: time.Duration(m.Topology.Spec.Credentials.Lifetime), Labels: m.Labels(), Now: now,
		}
	}}, nil
}
