// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// clear lists the steps that take out of a cluster of the user's own what Up put there, in
// reverse order. Whatever carries no labels of ours stays.
func (m *Mesh) clear(name string, needs ...string) []graph.Step {
	in := m.install()
	var steps []graph.Step
	before := needs
	// after makes a step of each removal, all of which wait for the row before.
	after := func(row ...removalStep) {
		var ids []string
		for _, r := range row {
			id := r.id + "@" + name
			ids = append(ids, id)
			steps = append(steps, m.removal(name, id, r, before...))
		}
		before = ids
	}
	if m.onlyChecked(name) {
		// What carries labels of this topology's is not this file's to remove: it manages nothing.
		after(removalStep{"probes", "what verify left", minutes(4), probes{m.Labels()}})
		return steps
	}
	after(removalStep{"probes", "what verify left", minutes(4), probes{m.Labels()}},
		removalStep{"credentials", "remote secrets and what revokes them", minutes(1), granted{m.Labels()}},
		removalStep{"expose", "services exposed to other networks", minutes(1), federation.Exposure{Labels: m.Labels()}},
		removalStep{"mtls", "mesh-wide mutual TLS mode", minutes(1), install.MeshMTLS{Mesh: in}})
	after(removalStep{"eastwest", "east-west gateway", minutes(5), install.EastWestGateway{Mesh: in}},
		removalStep{"ingress", "ingress gateway", minutes(5), install.IngressGateway{Mesh: in}})
	after(removalStep{"istiod", "Istio control plane", minutes(5), install.Istiod{Mesh: in}})
	after(removalStep{"leftovers", "what istiod made by itself", minutes(1), install.Leftovers{Mesh: in}},
		removalStep{"istio-base", "Istio's custom resources", minutes(5), install.IstioBase{Mesh: in}},
		removalStep{"cacerts", "intermediate CA", minutes(1), install.CACerts{Mesh: in}})
	row := []removalStep{{"namespaces", "namespaces of the file", minutes(5), install.Namespaces{Mesh: in}}}
	for _, secret := range m.pullSecrets(name, in) {
		row = append(row, removalStep{"pull-secret-" + secret.Namespace, "login for the mirror", minutes(1), secret})
	}
	after(row...)
	after(removalStep{"namespace", "istio-system", minutes(5), install.SystemNamespace{Mesh: in}},
		removalStep{"loadbalancer", "MetalLB", minutes(8), install.MetalLB{Mesh: in}},
		removalStep{"node-labels", "locality of nodes", minutes(1), install.NodeLabels{Mesh: in}})
	after(removalStep{"owner", "ownership", minutes(1), ownership{m}})
	return steps
}

// keep notes what stays in a cluster.
func (m *Mesh) keep(cluster, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, cluster+": "+what)
}

// Kept says what was left in clusters though nobody asks for it any more, and why; once each.
func (m *Mesh) Kept() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(m.kept)))
}

// removalStep is a step of clear.
type removalStep struct {
	id, title string
	timeout   time.Duration
	install.Removal
}

func (m *Mesh) removal(name, id string, r removalStep, needs ...string) graph.Step {
	return graph.Step{
		ID: id, Cluster: name, Title: r.title, Needs: needs, Timeout: r.timeout,
		Look: func(ctx context.Context) (graph.Change, error) {
			if m.Owner == "" {
				return graph.Change{Action: graph.None, Reason: "nothing of the topology is known there"}, nil
			}
			c, err := m.Client(ctx, name)
			if err != nil {
				return graph.Change{}, err
			}
			change, err := r.LookRemove(ctx, c)
			return change, diag.Op(err, name, "looking at "+r.title)
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			c, err := m.Client(ctx, name)
			if err != nil {
				return err
			}
			return diag.Op(r.Remove(ctx, c), name, "removing "+r.title)
		},
	}
}

// granted are the remote secrets of a cluster and the bindings by which they are revoked.
type granted struct{ labels map[string]string }

// LookRemove implements install.Removal.
func (r granted) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return federation.Prune{In: c, Labels: r.labels}.Look(ctx)
}

// Remove implements install.Removal.
func (r granted) Remove(ctx context.Context, c *kube.Client) error {
	return federation.Prune{In: c, Labels: r.labels}.Do(ctx, graph.Change{})
}

// probes are namespaces of verify that a killed run left.
type probes struct{ labels map[string]string }

func (p probes) find(ctx context.Context, c *kube.Client) ([]corev1.Namespace, error) {
	var list corev1.NamespaceList
	err := c.List(ctx, &list, client.MatchingLabels(kube.Labels(p.labels, map[string]string{topology.LabelVerify: "true"})))
	return list.Items, c.Explain(err, "listing namespaces")
}

// LookRemove implements install.Removal.
func (p probes) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	found, err := p.find(ctx, c)
	if err != nil || len(found) == 0 {
		return graph.Change{Action: graph.None, Reason: "not there"}, err
	}
	return graph.Change{Action: graph.Delete, Reason: "namespace " + found[0].Name}, nil
}

// Remove implements install.Removal.
func (p probes) Remove(ctx context.Context, c *kube.Client) error {
	found, err := p.find(ctx, c)
	if err != nil {
		return err
	}
	for i := range found {
		if err := c.Remove(ctx, &found[i]); err != nil {
			return err
		}
	}
	return poll.Until(ctx, poll.Options{What: "the probes of " + c.Cluster + " to be gone", Interval: seconds(1), Deadline: minutes(3)},
		func(ctx context.Context) (bool, string, error) {
			left, err := p.find(ctx, c)
			return err == nil && len(left) == 0, fmt.Sprintf("%d namespaces are being removed", len(left)), err
		})
}

// LookRemove implements install.Removal.
func (o ownership) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	found, err := readRecord(ctx, c)
	if err != nil || found == nil || found.topology != o.m.Topology.Metadata.Name || found.owner != o.m.Owner {
		return graph.Change{Action: graph.None, Reason: "not there"}, err
	}
	return graph.Change{Action: graph.Delete, Reason: "ConfigMap " + topology.OwnerConfigMap}, nil
}

// Remove implements install.Removal: it comes last, because it is how a lost owner is found.
func (o ownership) Remove(ctx context.Context, c *kube.Client) error {
	change, err := o.LookRemove(ctx, c)
	if err != nil || !change.Needed() {
		return err
	}
	return c.Remove(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}})
}

// leftInside names what is left of the topology in clusters of the user's own.
func (m *Mesh) leftInside(ctx context.Context) ([]string, error) {
	if m.Owner == "" {
		return nil, nil
	}
	var left []string
	for _, name := range append(m.Existing(), m.Former()...) {
		if m.onlyChecked(name) {
			continue
		}
		found, err := m.leftIn(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			left = append(left, name+": "+o)
		}
	}
	return left, nil
}
