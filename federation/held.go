// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"

	networkingapi "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Held says none when a cluster holds a remote secret for the peer, whoever wrote it, and create
// with a reason when it holds none. It changes nothing.
func Held(ctx context.Context, c *kube.Client, peer string) (graph.Change, error) {
	var list corev1.SecretList
	err := c.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{topology.LabelMultiCluster: "true"})
	if err != nil {
		return graph.Change{}, c.Explain(err, "listing remote secrets")
	}
	for i := range list.Items {
		if _, has := list.Items[i].Data[peer]; has {
			return graph.Change{Action: graph.None, Reason: "Secret " + list.Items[i].Name}, nil
		}
	}
	return graph.Change{Action: graph.Create, Reason: "there is no remote secret for " + peer}, nil
}

// Exposed is the check of a Gateway that somebody else owns: services are let in from other
// networks on port 15443.
type Exposed struct{}

// Look says none when any Gateway of the cluster does that, else create with a reason.
func (Exposed) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	var list networkingv1.GatewayList
	if err := c.List(ctx, &list); err != nil && !kube.Absent(err) {
		return graph.Change{}, c.Explain(err, "listing Gateways")
	}
	for _, g := range list.Items {
		for _, s := range g.Spec.GetServers() {
			if s.GetPort().GetNumber() == topology.PortCrossNetwork && s.GetTls().GetMode() == networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH {
				return graph.Change{Action: graph.None, Reason: "Gateway " + g.Namespace + "/" + g.Name}, nil
			}
		}
	}
	return graph.Change{Action: graph.Create, Reason: "no Gateway lets services in from other networks on port 15443 with AUTO_PASSTHROUGH"}, nil
}
