// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/topology"
)

// Up lists every step that makes the mesh. Expected durations are medians of a warm run on
// two cores; they only serve the estimate of the time left.
func Up(m *Mesh) []graph.Step {
	t, in := m.Topology, m.install()
	steps := []graph.Step{
		m.host(),
		m.step("roots", "roots agree", minutes(2), 0, rootsAgree{m}, "host"),
	}
	network := m.groundSteps()
	steps = append(steps, network...)
	made := "roots" // what clusters of the user's own, and the root, wait for
	if len(network) > 0 {
		made = "network"
	}
	steps = append(steps, m.step("root", "root certificate", minutes(1), 0, root{m}, made))
	for _, name := range m.Selected() {
		c := t.Cluster(name)
		at := func(step string) string { return step + "@" + name }
		on := func(step, title string, timeout, expected time.Duration, p part, needs ...string) {
			steps = append(steps, m.on(name, at(step), title, timeout, expected, p, needs...))
		}
		needs := []string{"root"}
		if !c.IsExisting() {
			needs = []string{"network", "node-image", "root"}
		}
		steps = append(steps, m.cluster(name, needs...))
		loads, ready := m.loadSteps(c)
		steps = append(steps, loads...)
		on("owner", "ownership", seconds(30), 0, ownership{m}, ready)
		pullSecret := at("owner")
		if m.Topology.Spec.Images.PullSecret != "" {
			pullSecret = at("pull-secret")
			on("pull-secret", "login for the mirror", seconds(30), 0, m.pullSecrets(name, in), at("owner"))
		}
		steps = append(steps, m.namespaces(c, in)...)
		if c.IsExisting() && c.Provider.Kubeconfig.LabelNodes {
			on("node-labels", "locality of nodes", seconds(60), 0, install.NodeLabels{Mesh: in}, at("owner"))
		}
		balancer := pullSecret
		if part := m.balancer(c, in); part != nil {
			balancer = at("loadbalancer")
			on("loadbalancer", "MetalLB", minutes(8), seconds(8), part, pullSecret)
		}
		on("namespace", "istio-system", seconds(30), 0, managed(c.Manage.Istio, "istio", install.SystemNamespace{Mesh: in}, install.OthersNamespace{Mesh: in}), pullSecret)
		on("prune", "what the file no longer has", minutes(6), 0, m.prune(name, in), at("namespace"))
		steps = append(steps, m.controlPlane(c, in)...)
		injects := m.injects(name)
		if c.HoldsConfig() {
			on("mtls", "mesh-wide mutual TLS mode", seconds(60), 0, managed(c.Manage.Istio, "istio", install.MeshMTLS{Mesh: in}, install.OthersMTLS{Mesh: in}), injects, at("istio-base"))
		}
		if c.Ingress != nil {
			on("ingress", "ingress gateway", minutes(6), seconds(6), managed(c.Manage.Gateways, "gateways", install.IngressGateway{Mesh: in}, ingress(in)), injects, balancer)
		}
		if t.HasEastWestGateway(name) {
			on("eastwest", "east-west gateway", minutes(6), seconds(6), managed(c.Manage.Gateways, "gateways", install.EastWestGateway{Mesh: in}, eastWest(in)), injects, balancer)
		}
		if t.ExposesServices(name) {
			on("expose", "services exposed to other networks", seconds(60), 0, managed(c.Manage.Gateways, "gateways", m.exposure(name), federation.Exposed{}), injects, at("istio-base"))
		}
		if t.ServesThroughGateway(name) {
			on("expose-istiod", "istiod exposed to the clusters that it serves", seconds(60), 0, m.istiodExposure(), injects, at("istio-base"))
		}
	}
	for _, pair := range m.flat() {
		steps = append(steps, m.between(pair, "routes@"+pair.From+":"+pair.To, "routes to the pods of "+pair.To, minutes(3), seconds(1), m.podRoutes,
			"cluster@"+pair.From, "cluster@"+pair.To))
	}
	for _, pair := range m.discovery() {
		secret, arrow := "remote-secret@"+pair.From+":"+pair.To, pair.From+":"+pair.To
		steps = append(steps,
			m.between(pair, secret, "remote secret of "+pair.To, minutes(3), seconds(1), m.remoteSecret,
				"istio-base@"+pair.To, m.istiodOf(pair.To), "istiod@"+pair.From),
			m.between(pair, "synced@"+arrow, pair.To+" discovered", minutes(3), seconds(3), m.synced,
				secret, "istiod@"+pair.From))
	}
	return append(steps, m.droppedSteps()...)
}

// groundSteps lists the steps by which clusters can be made on this host; none where none is to be.
func (m *Mesh) groundSteps() []graph.Step {
	if len(m.made()) == 0 {
		return nil
	}
	return []graph.Step{
		m.step("network", "container network", seconds(60), seconds(1), network{m}, "roots"),
		m.step("node-image", "node image", minutes(10), seconds(15), nodeImage{m}, "network"),
	}
}

// discovery lists the selected pairs of which the first one's istiod watches the second.
func (m *Mesh) discovery() []topology.Pair {
	var pairs []topology.Pair
	for _, from := range m.Selected() {
		for _, to := range m.Topology.Peers(from) {
			if m.selected(to) {
				pairs = append(pairs, topology.Pair{From: from, To: to})
			}
		}
	}
	return pairs
}

// loadSteps lists the steps that bring images into the nodes of a kind cluster, and the last of
// them, or of the cluster where there is none.
func (m *Mesh) loadSteps(c *topology.Cluster) (steps []graph.Step, last string) {
	last = "cluster@" + c.Name
	if c.IsExisting() {
		return nil, last
	}
	load := func(id, title string, timeout, expected time.Duration, w work) {
		step := m.step(id+"@"+c.Name, title, timeout, expected, w, last)
		step.Cluster, last = c.Name, step.ID
		steps = append(steps, step)
	}
	if m.importsImages() || m.outdatedProbe(c.Name) {
		load("images", "images of the bundle", minutes(10), seconds(40), loadImages{m, c.Name})
	}
	if m.BuildProbe && c.IsMember() {
		load("probe-image", "the probe's image", minutes(5), seconds(15), localProbe{m, c.Name})
	}
	return steps, last
}

// namespaces are the file's own, in a cluster that has workloads.
func (m *Mesh) namespaces(c *topology.Cluster, in install.Mesh) []graph.Step {
	if len(m.Topology.NamespacesOf(c.Name)) == 0 {
		return nil
	}
	return []graph.Step{m.on(c.Name, "namespaces@"+c.Name, "namespaces of the file", seconds(30), 0, install.Namespaces{Mesh: in}, "owner@"+c.Name)}
}

// exposure lets other networks reach a cluster's services through its east-west gateway.
func (m *Mesh) exposure(name string) federation.Exposure {
	return federation.Exposure{Hosts: m.Topology.ExposedHosts(name), Labels: m.Labels()}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
