// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"

	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// looker is something in one cluster that is only looked at.
type looker interface {
	Look(context.Context, *kube.Client) (graph.Change, error)
}

// checked is a part that somebody else owns (manage in the file): what is missing is an error,
// and nothing is ever written.
type checked struct {
	looker
	field string
}

// Look turns what would be done into an error that says who has to do it.
func (p checked) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	change, err := p.looker.Look(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	if change.Needed() {
		return graph.Change{}, diag.Hint(fmt.Errorf("%s, and manage.%s is false, so it is not written", change.Reason, p.field),
			fmt.Sprintf("let whoever owns it in %s put it right, or write manage: {%s: true}", c.Cluster, p.field))
	}
	return graph.Change{Action: graph.None, Reason: "only checked"}, nil
}

// Do is never called, because Look never asks for it.
func (checked) Do(context.Context, *kube.Client, graph.Change) error { return nil }

// managed gives a part, or the check in its place where somebody else owns it.
func managed(manage bool, field string, p part, check looker) part {
	if manage {
		return p
	}
	return checked{check, field}
}

// missing lists what somebody else owns in a cluster and is not there, as far as it can be there
// before Up has made anything: gateways only start where their istiod is, credentials of a peer
// need the account that its Istio brings, and an istiod of a rendered mesh waits for cacerts.
func (m *Mesh) missing(ctx context.Context, name string, c *kube.Client) []error {
	in, cluster := m.install(), m.Topology.Cluster(name)
	var errs []error
	look := func(field string, l looker) {
		if _, err := (checked{l, field}).Look(ctx, c); err != nil {
			errs = append(errs, err)
		}
	}
	if !cluster.Manage.CACerts {
		look("cacerts", install.OthersCACerts{CACerts: m.caCerts(in)})
	}
	if cluster.Manage.Istio {
		return errs
	}
	look("istio", install.OthersNamespace{Mesh: in})
	if cluster.Manage.CACerts {
		roots, err := install.TrustedRoots(ctx, c)
		if err != nil {
			return append(errs, err)
		}
		if len(roots) == 0 {
			return errs
		}
	}
	for _, l := range []looker{install.OthersDefinitions{Mesh: in}, install.OthersIstio{Mesh: in}, install.OthersMTLS{Mesh: in}} {
		look("istio", l)
	}
	if !cluster.Manage.Gateways {
		if m.Topology.HasEastWestGateway(name) {
			look("gateways", eastWest(in))
		}
		if cluster.Ingress != nil {
			look("gateways", ingress(in))
		}
		if m.Topology.ExposesServices(name) {
			look("gateways", federation.Exposed{})
		}
	}
	for _, peer := range m.Topology.Peers(name) {
		if !cluster.Manage.RemoteSecrets && !m.Topology.Cluster(peer).Manage.Istio {
			look("remoteSecrets", held{peer})
		}
	}
	return errs
}

// onlyChecked says whether a cluster is the user's own and nothing is ever written in it: no layer
// is managed, and nothing else of the file belongs there.
func (m *Mesh) onlyChecked(name string) bool {
	c := m.Topology.Cluster(name)
	return c != nil && c.IsExisting() && c.Manage == topology.Manage{} && !c.Provider.Kubeconfig.LabelNodes &&
		c.LoadBalancer.Type != topology.LoadBalancerMetalLB && m.Topology.Spec.Images.PullSecret == "" &&
		len(m.Topology.NamespacesOf(name)) == 0
}

// unmanaged is the field of manage by which a kind of step in a cluster is somebody else's; empty
// for none.
func unmanaged(c *topology.Cluster, kind string) string {
	if c == nil {
		return "" // a step of no one cluster
	}
	switch kind {
	case "namespace", "istio-base", "istiod", "mtls":
		if !c.Manage.Istio {
			return "istio"
		}
	case "ingress", "eastwest", "expose":
		if !c.Manage.Gateways {
			return "gateways"
		}
	case "cacerts":
		if !c.Manage.CACerts {
			return "cacerts"
		}
	case "remote-secret":
		if !c.Manage.RemoteSecrets {
			return "remoteSecrets"
		}
	}
	return ""
}

// eastWest and ingress are the checks of gateways of somebody else's.
func eastWest(in install.Mesh) looker {
	return install.OthersGateway{Mesh: in, Name: topology.EastWestGateway, Selector: topology.EastWestSelector, Port: topology.PortCrossNetwork}
}

func ingress(in install.Mesh) looker {
	return install.OthersGateway{Mesh: in, Name: topology.IngressGateway, Selector: topology.IngressSelector, Port: 80}
}

// held is the check of a remote secret that somebody else writes.
type held struct{ peer string }

// Look asks for a remote secret of any origin; whether it is good shows when istiod has synced.
func (h held) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return federation.Held(ctx, c, h.peer)
}
