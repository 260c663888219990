// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// cluster makes one kind cluster and waits for its nodes.
func (m *Mesh) cluster(name string, needs ...string) graph.Step {
	if m.existing(name) {
		return m.existingCluster(name, needs...)
	}
	return graph.Step{
		ID: "cluster@" + name, Cluster: name, Title: "kind cluster", Needs: needs,
		Timeout: minutes(8), Expected: seconds(25),
		Look: func(ctx context.Context) (graph.Change, error) { return m.lookCluster(ctx, name) },
		Do:   func(ctx context.Context, change graph.Change) error { return m.makeCluster(ctx, name, change) },
	}
}

func (m *Mesh) lookCluster(ctx context.Context, name string) (graph.Change, error) {
	spec := m.kindSpec(name)
	var err error
	// Where they are is only asked of a network that exists; making the cluster asks again.
	if spec.Registries, err = m.registries(ctx); err != nil && !errors.Is(err, cluster.ErrNoNetwork) {
		return graph.Change{}, err
	}
	status, err := m.Provider.Look(ctx, spec)
	if err != nil {
		return graph.Change{}, err
	}
	switch status.State {
	case cluster.Absent:
		return graph.Change{Action: graph.Create}, nil
	case cluster.HalfMade:
		return graph.Change{Action: graph.Replace, Reason: "it was left half-made: " + status.Reason}, nil
	}
	if change := m.lookReplace(name, status); change.Needed() {
		return change, nil
	}
	switch status.State {
	case cluster.Stopped, cluster.Paused, cluster.Impaired:
		return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("it is %s: %s", status.State, status.Reason)}, nil
	}
	if len(status.Notes) > 0 {
		return graph.Change{Action: graph.Update, Reason: strings.Join(status.Notes, ", ")}, nil
	}
	c, err := m.Client(ctx, name)
	if err != nil {
		return graph.Change{}, err
	}
	for _, look := range []func(context.Context) (bool, string, error){
		func(ctx context.Context) (bool, string, error) { return nodesReady(ctx, c) },
		func(ctx context.Context) (bool, string, error) { return podsCurrent(ctx, c, status.Started) },
	} {
		if ready, state, err := look(ctx); err != nil || !ready {
			return graph.Change{Action: graph.Update, Reason: state}, err
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// lookReplace says whether a whole cluster has to be made anew, why, and what that costs.
func (m *Mesh) lookReplace(name string, status cluster.Status) graph.Change {
	m.mu.Lock()
	done := m.replaced[name]
	m.mu.Unlock()
	fields := m.immutable(name)
	if status.State == cluster.Different {
		for _, d := range status.Differences {
			fields = append(fields, graph.FieldChange{Path: d.Path, Old: d.Old, New: d.New})
		}
	}
	switch {
	case len(fields) > 0 || status.State == cluster.Different:
		return graph.Change{Action: graph.Replace, Reason: "it can not be changed in place: " + m.cost(name), Fields: fields}
	case m.mayReplace(name) && !done:
		return graph.Change{Action: graph.Replace, Reason: "asked for by --replace: " + m.cost(name)}
	}
	return graph.Change{}
}

// removeForAnew deletes a whole cluster that is to be made anew.
func (m *Mesh) removeForAnew(ctx context.Context, name string) error {
	graph.State(ctx, "deleting what is to be made anew")
	m.forget(name)
	if err := m.Provider.Delete(ctx, m.Topology.KindName(name)); err != nil {
		return diag.Op(err, name, "deleting the kind cluster")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, name)
	if m.replaced == nil {
		m.replaced = map[string]bool{}
	}
	m.replaced[name] = true
	return nil
}

// kindSpec is the kind cluster of a member. Where no images are at hand it names none, which
// is enough to look.
func (m *Mesh) kindSpec(name string) cluster.Spec {
	c := m.Topology.Cluster(name)
	spec := cluster.SpecFor(m.Topology, c, m.nodeImageOf(name), m.settings().BridgeCNI)
	for _, p := range install.IngressPorts(c) {
		spec.Ports = append(spec.Ports, cluster.Port{Host: p.Host, Node: p.Node, Any: c.Ingress.HostPorts.Any})
	}
	return spec
}

func (m *Mesh) makeCluster(ctx context.Context, name string, change graph.Change) error {
	spec := m.kindSpec(name)
	found, err := m.Provider.Look(ctx, spec)
	if err != nil {
		return err
	}
	anew := change.Action == graph.Replace && found.State != cluster.HalfMade && found.State != cluster.Absent
	if anew && !m.mayReplace(name) {
		return m.refuseReplace(name, change.Fields)
	}
	// A cluster that is only started again keeps the image that it was made from.
	if spec.Image == "" && (anew || found.State == cluster.Absent || found.State == cluster.HalfMade) {
		return diag.Hint(errNothingToMakeFrom, "`meshfed bundle build` makes a bundle from source, `meshfed bundle pull` fetches one")
	}
	if spec.Registries, err = m.registries(ctx); err == nil {
		err = m.reachable(ctx, spec.Registries)
	}
	if err != nil {
		return err
	}
	if anew {
		if err := m.removeForAnew(ctx, name); err != nil {
			return err
		}
	}
	m.forget(name)
	if err := m.Provider.Ensure(ctx, spec); err != nil {
		return diag.Op(err, name, "making the kind cluster")
	}
	client, err := m.refresh(ctx, name)
	if err != nil {
		return err
	}
	m.connected(name, client)
	return poll.Until(ctx, poll.Options{What: "the nodes of " + name, Interval: 200 * time.Millisecond, Deadline: minutes(3)},
		func(ctx context.Context) (bool, string, error) {
			ready, state, err := nodesReady(ctx, client)
			if err == nil && ready {
				var status cluster.Status
				if status, err = m.Provider.Look(ctx, spec); err == nil {
					ready, state, err = podsCurrent(ctx, client, status.Started)
				}
			}
			graph.State(ctx, "%s", state)
			return ready, state, err
		})
}

// podsCurrent says whether what the API server shows of our pods is from after the last start
// of their nodes. Until a kubelet has told it otherwise, it shows them as they were before:
// ready, although they are being started again.
func podsCurrent(ctx context.Context, c *kube.Client, started map[string]time.Time) (bool, string, error) {
	for _, namespace := range []string{"kube-system", topology.MetalLBNamespace, topology.SystemNamespace} {
		pods, err := c.Pods(ctx, namespace, nil)
		if err != nil {
			return false, "", err
		}
		for i := range pods {
			boot := started[pods[i].Spec.NodeName]
			for _, container := range pods[i].Status.ContainerStatuses {
				// The API server keeps whole seconds.
				if at := container.State.Running; at != nil && at.StartedAt.Add(time.Second).Before(boot) {
					return false, fmt.Sprintf("pod %s is shown as it was before its node started again", pods[i].Name), nil
				}
			}
		}
	}
	return true, fmt.Sprintf("pods are those of after the last start of %d nodes", len(started)), nil
}

// nodesReady says whether all nodes are, and which is not.
func nodesReady(ctx context.Context, c *kube.Client) (bool, string, error) {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return false, "", c.Explain(err, "listing nodes")
	}
	if len(nodes.Items) == 0 {
		return false, "no node has registered", nil
	}
	for i := range nodes.Items {
		for _, condition := range nodes.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				return false, fmt.Sprintf("node %s is not ready: %s", nodes.Items[i].Name, condition.Message), nil
			}
		}
	}
	return true, fmt.Sprintf("%d of %d nodes ready", len(nodes.Items), len(nodes.Items)), nil
}

// hostPorts lists the ports of this host that a cluster must be able to listen on; where any
// port will do, the provider finds a free one.
func (m *Mesh) hostPorts(name string) []int {
	c := m.Topology.Cluster(name)
	var ports []int
	for _, p := range install.IngressPorts(c) {
		if !c.Ingress.HostPorts.Any {
			ports = append(ports, p.Host)
		}
	}
	if c.Provider.Kind != nil {
		for _, p := range c.Provider.Kind.Ports {
			ports = append(ports, p.Host)
		}
	}
	return ports
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

func duration(d topology.Duration) time.Duration { return time.Duration(d) }

// now is the wall clock, for certificate validity.
func now() time.Time { return time.Now() }
