// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"

	networkingapi "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Exposure is the Gateway that lets other networks reach every service of a cluster through
// its east-west gateway, by the name in the TLS handshake and without ending TLS there.
// Source: Istio's samples/multicluster/expose-services.yaml.
type Exposure struct {
	// Hosts are the services let in; empty means all, "*.local".
	Hosts []string
	// Labels mark the Gateway as ours.
	Labels map[string]string
}

// Gateway is the object that Do applies.
func (e Exposure) Gateway() *networkingv1.Gateway {
	hosts := e.Hosts
	if len(hosts) == 0 {
		hosts = []string{"*.local"}
	}
	return &networkingv1.Gateway{
		TypeMeta: metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "Gateway"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      topology.CrossNetworkGateway,
			Namespace: topology.SystemNamespace,
			Labels:    e.Labels,
		},
		Spec: networkingapi.Gateway{
			Selector: map[string]string{"istio": topology.EastWestSelector},
			Servers: []*networkingapi.Server{{
				Port:  &networkingapi.Port{Number: topology.PortCrossNetwork, Name: "tls", Protocol: "TLS"},
				Tls:   &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH},
				Hosts: hosts,
			}},
		},
	}
}

// Look compares the Gateway; create also when Istio's types are not there yet.
func (e Exposure) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	return c.Look(ctx, e.Gateway())
}

// Do applies the Gateway. It is idempotent.
func (e Exposure) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	return c.ApplyValidated(ctx, e.Gateway())
}

// LookRemove says delete when the Gateway is there and ours.
func (e Exposure) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	var found networkingv1.Gateway
	err := c.Get(ctx, client.ObjectKeyFromObject(e.Gateway()), &found)
	if kube.Absent(err) {
		return graph.Change{Action: graph.None}, nil
	}
	if err != nil {
		return graph.Change{Action: graph.Unknown}, c.Explain(err, "reading Gateway "+topology.CrossNetworkGateway)
	}
	if !ours(&found, e.Labels) {
		return graph.Change{Action: graph.None, Reason: "it is not ours"}, nil
	}
	return graph.Change{Action: graph.Delete, Reason: "Gateway " + topology.CrossNetworkGateway + " is there and the file does not ask for it"}, nil
}

// Remove deletes the Gateway if it is ours; absent is success.
func (e Exposure) Remove(ctx context.Context, c *kube.Client) error {
	change, err := e.LookRemove(ctx, c)
	if err != nil || !change.Needed() {
		return err
	}
	return c.Remove(ctx, e.Gateway())
}
