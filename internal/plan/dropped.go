// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"strings"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
)

// droppedSteps are about clusters that the file no longer has. Kind clusters of ours, and what is
// of ours in the user's own, stay unless PruneClusters is set, and go when nobody holds
// credentials for them any more. With --clusters they are nobody's business.
func (m *Mesh) droppedSteps() []graph.Step {
	if len(m.Clusters) > 0 {
		return nil
	}
	var needs []string
	for _, name := range m.Selected() {
		needs = append(needs, "prune@"+name)
	}
	var steps []graph.Step
	for _, name := range m.dropped {
		kindName := m.Topology.KindName(name)
		steps = append(steps, graph.Step{
			ID: "cluster@" + name, Cluster: name, Title: "kind cluster that the file no longer has", Needs: needs,
			Timeout: minutes(3), Expected: seconds(5),
			Look: func(ctx context.Context) (graph.Change, error) {
				there, err := m.there(ctx, kindName)
				switch {
				case err != nil || !there:
					return graph.Change{Action: graph.None, Reason: "not there"}, err
				case !m.PruneClusters:
					return graph.Change{Action: graph.None, Reason: "not in the file, kept; `meshfed up --prune-clusters` removes it"}, nil
				}
				return graph.Change{Action: graph.Delete, Reason: "not in the file: " + kindName + " goes with all that runs in it"}, nil
			},
			Do: func(ctx context.Context, _ graph.Change) error {
				m.forget(name)
				if err := m.Provider.Delete(ctx, kindName); err != nil {
					return diag.Op(err, name, "deleting the kind cluster")
				}
				return m.State.RemoveKubeconfig(name)
			},
		})
	}
	return append(steps, m.formerSteps(needs)...)
}

// prune takes out of a cluster what is ours and the file has no longer: credentials for clusters
// that are no peers any more, gateways that are not asked for, namespaces, and labels of nodes. It
// goes by the whole file, not by --clusters.
func (m *Mesh) prune(name string, in install.Mesh) part {
	credentials := between{func(c *kube.Client) work {
		return federation.Prune{In: c, Peers: m.Topology.Peers(name), Readers: m.Topology.Reads(name), Labels: m.Labels()}
	}}
	var all several
	manage := m.Topology.Cluster(name).Manage
	if manage.RemoteSecrets {
		all = append(all, credentials)
	}
	if !m.onlyChecked(name) {
		all = append(all, unwanted{install.DroppedNamespaces{Mesh: in}})
	}
	if own := m.Topology.Cluster(name).Provider.Kubeconfig; own != nil && !own.LabelNodes && !m.onlyChecked(name) {
		all = append(all, unwanted{install.NodeLabels{Mesh: in}})
	}
	if !manage.Gateways {
		return all
	}
	if m.Topology.Cluster(name).Ingress == nil {
		all = append(all, unwanted{install.IngressGateway{Mesh: in}})
	}
	if !m.Topology.ExposesServices(name) {
		all = append(all, unwanted{federation.Exposure{Labels: m.Labels()}})
	}
	if !m.Topology.ServesThroughGateway(name) {
		all = append(all, unwanted{m.istiodExposure()})
	}
	if !m.Topology.HasEastWestGateway(name) {
		all = append(all, unwanted{install.EastWestGateway{Mesh: in}})
	}
	return all
}

// several are parts that one step takes away.
type several []part

// Look joins what the parts say: delete as soon as one does.
func (s several) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	all := graph.Change{Action: graph.None}
	var reasons []string
	for _, p := range s {
		change, err := p.Look(ctx, c)
		if err != nil {
			return graph.Change{}, err
		}
		if change.Needed() {
			all.Action, all.Fields = change.Action, append(all.Fields, change.Fields...)
			reasons = append(reasons, change.Reason)
		}
	}
	all.Reason = strings.Join(reasons, "; ")
	return all, nil
}

// Do does what each part finds to do.
func (s several) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	for _, p := range s {
		change, err := p.Look(ctx, c)
		if err == nil && change.Needed() {
			err = p.Do(ctx, c, change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removable is a part that can be taken away, and knows whether it is there.
type removable interface {
	LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error)
	Remove(ctx context.Context, c *kube.Client) error
}

var (
	_ removable = install.EastWestGateway{}
	_ removable = install.IngressGateway{}
	_ removable = federation.Exposure{}
	_ removable = federation.IstiodExposure{}
	_ removable = install.NodeLabels{}
	_ removable = install.DroppedNamespaces{}
	_ removable = install.MetalLB{}
)

// unwanted takes away what an earlier form of the file asked for.
type unwanted struct{ removable }

func (u unwanted) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return u.LookRemove(ctx, c)
}

func (u unwanted) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	return u.Remove(ctx, c)
}
