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

// webhookServicePort is the port of Service istiod that leads to its webhooks (Istio's istiod
// chart, templates/service.yaml).
const webhookServicePort = 443

// IstiodExposure is the Gateway and the VirtualService by which clusters without an istiod reach
// the one of this cluster through its east-west gateway. TLS is passed through: they check
// istiod's own certificate.
// Source: Istio's samples/multicluster/expose-istiod.yaml.
type IstiodExposure struct {
	// Service is istiod's, with its revision: "istiod" or "istiod-<revision>".
	Service string
	// Labels mark both as ours.
	Labels map[string]string
}

// Objects are those that Do applies.
func (e IstiodExposure) Objects() []client.Object {
	meta := metav1.ObjectMeta{Name: topology.IstiodGateway, Namespace: topology.SystemNamespace, Labels: e.Labels}
	server := func(name string, port uint32) *networkingapi.Server {
		return &networkingapi.Server{
			Port:  &networkingapi.Port{Number: port, Name: name, Protocol: "TLS"},
			Tls:   &networkingapi.ServerTLSSettings{Mode: networkingapi.ServerTLSSettings_PASSTHROUGH},
			Hosts: []string{"*"},
		}
	}
	route := func(from, to uint32) *networkingapi.TLSRoute {
		return &networkingapi.TLSRoute{
			Match: []*networkingapi.TLSMatchAttributes{{Port: from, SniHosts: []string{"*"}}},
			Route: []*networkingapi.RouteDestination{{Destination: &networkingapi.Destination{
				Host: e.Service + "." + topology.SystemNamespace + ".svc.cluster.local", Port: &networkingapi.PortSelector{Number: to}}}},
		}
	}
	return []client.Object{
		&networkingv1.Gateway{
			TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "Gateway"},
			ObjectMeta: meta,
			Spec: networkingapi.Gateway{
				// One istiod may serve several gateways, and only its own cluster's leads to it.
				Selector: map[string]string{"istio": topology.EastWestSelector, topology.LabelServesIstiod: "true"},
				Servers:  []*networkingapi.Server{server("tls-istiod", topology.PortXDS), server("tls-webhook", topology.PortWebhook)},
			},
		},
		&networkingv1.VirtualService{
			TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "VirtualService"},
			ObjectMeta: meta,
			Spec: networkingapi.VirtualService{
				Hosts: []string{"*"}, Gateways: []string{topology.IstiodGateway},
				Tls: []*networkingapi.TLSRoute{route(topology.PortXDS, topology.PortXDS), route(topology.PortWebhook, webhookServicePort)},
			},
		},
	}
}

// Look compares both objects: create when either is absent, also when Istio's types are not
// there yet.
func (e IstiodExposure) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	for _, object := range e.Objects() {
		if change, err := c.Look(ctx, object); err != nil || change.Needed() {
			return change, err
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// Do applies both. It is idempotent.
func (e IstiodExposure) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	return c.ApplyValidated(ctx, e.Objects()...)
}

// LookRemove says delete when either object is there and ours.
func (e IstiodExposure) LookRemove(ctx context.Context, c *kube.Client) (graph.Change, error) {
	found, err := e.ours(ctx, c)
	if err != nil || len(found) == 0 {
		return graph.Change{Action: graph.None}, err
	}
	return graph.Change{Action: graph.Delete, Reason: "Gateway " + topology.IstiodGateway + " is there and the file does not ask for it"}, nil
}

// Remove deletes those of the two that are ours; absent is success.
func (e IstiodExposure) Remove(ctx context.Context, c *kube.Client) error {
	found, err := e.ours(ctx, c)
	if err != nil {
		return err
	}
	return c.Remove(ctx, found...)
}

func (e IstiodExposure) ours(ctx context.Context, c *kube.Client) (found []client.Object, err error) {
	for _, object := range e.Objects() {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object)
		switch {
		case kube.Absent(err):
		case err != nil:
			return nil, c.Explain(err, "reading what exposes istiod, "+topology.IstiodGateway)
		case ours(object, e.Labels):
			found = append(found, object)
		}
	}
	return found, nil
}
