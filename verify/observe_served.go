// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// observeServed looks at the clusters that have no istiod.
func (s *session) observeServed(ctx context.Context) {
	var remotes []string
	for _, c := range s.world.Clusters {
		if s.mesh.Topology.Primary(c) != c {
			remotes = append(remotes, c)
		}
	}
	gather(ctx, s, FactServed, remotes, func(ctx context.Context, m *member) Served { return m.served(ctx) },
		func(w *World, all map[string]Served) { w.Served = all })
}

// served reads what leads this cluster to its istiod.
func (m *member) served(ctx context.Context) Served {
	s := Served{Problem: m.blind()}
	if s.Problem != "" {
		return s
	}
	for _, read := range []func(context.Context, *Served) error{m.annotated, m.webhook, m.led, m.reached} {
		if err := read(ctx, &s); err != nil {
			s.Problem = sentence(err)
			return s
		}
	}
	return s
}

func (m *member) annotated(ctx context.Context, s *Served) error {
	var ns corev1.Namespace
	if err := m.client.Get(ctx, types.NamespacedName{Name: topology.SystemNamespace}, &ns); err != nil {
		return m.client.Explain(err, "reading namespace "+topology.SystemNamespace)
	}
	s.ControlPlanes = ns.Annotations[topology.AnnotationControlPlanes]
	return nil
}

// webhook reads whom the API server trusts when it has pods injected. The name is that of
// Istio's chart.
func (m *member) webhook(ctx context.Context, s *Served) error {
	var hook admissionv1.MutatingWebhookConfiguration
	err := m.client.Get(ctx, types.NamespacedName{Name: m.revisioned("istio-sidecar-injector")}, &hook)
	if kube.Absent(err) {
		return nil
	}
	if err != nil {
		return m.client.Explain(err, "reading the injection webhook")
	}
	s.Webhook = len(hook.Webhooks) > 0
	for i := range hook.Webhooks {
		trusted, err := certs.ParseCertificates(hook.Webhooks[i].ClientConfig.CABundle)
		if err != nil || len(trusted) == 0 {
			s.Bundle = nil // one that trusts nobody is enough to keep pods out
			return nil
		}
		s.Bundle = nil
		for _, c := range trusted {
			s.Bundle = append(s.Bundle, certs.Fingerprint(c))
		}
	}
	return nil
}

// led reads where Service istiod leads.
func (m *member) led(ctx context.Context, s *Served) error {
	name := m.revisioned("istiod")
	var list discoveryv1.EndpointSliceList
	err := m.client.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{discoveryv1.LabelServiceName: name})
	if err != nil {
		return m.client.Explain(err, "listing endpoints of istiod")
	}
	for _, slice := range list.Items {
		for _, e := range slice.Endpoints {
			if len(e.Addresses) > 0 {
				s.Address = e.Addresses[0]
				return nil
			}
		}
	}
	var service corev1.Service
	err = m.client.Get(ctx, types.NamespacedName{Namespace: topology.SystemNamespace, Name: name}, &service)
	if err != nil && !kube.Absent(err) {
		return m.client.Explain(err, "reading Service istiod")
	}
	s.Address = service.Spec.ExternalName // where the serving istiod has a host name
	return nil
}

// reached reads where the serving istiod is reached.
func (m *member) reached(ctx context.Context, s *Served) error {
	primary := m.mesh.Topology.Cluster(m.mesh.Topology.Primary(m.name))
	if len(primary.EastWest.Addresses) > 0 {
		s.At = primary.EastWest.Addresses[0]
		return nil
	}
	c := m.members[primary.Name].client
	if c == nil {
		return errors.New("there is no client for " + primary.Name)
	}
	name := topology.EastWestGateway
	if primary.IsExternal() {
		name = topology.IstiodExternal
	}
	var service corev1.Service
	err := c.Get(ctx, types.NamespacedName{Namespace: topology.SystemNamespace, Name: name}, &service)
	if err != nil && !kube.Absent(err) {
		return c.Explain(err, "reading Service "+name)
	}
	addresses, hostnames := addresses(&service)
	for _, at := range append(addresses, hostnames...) {
		s.At = at
		break
	}
	if primary.IsExternal() {
		return nil
	}
	s.Untold, err = untold(ctx, c)
	return err
}

// untold says what the east-west gateway of a cluster lacks to pass istiod on: for each of its
// ports a server that passes TLS through, and a route.
func untold(ctx context.Context, c *kube.Client) (string, error) {
	var gateways networkingv1.GatewayList
	if err := c.List(ctx, &gateways, client.InNamespace(topology.SystemNamespace)); err != nil {
		return "", c.Explain(err, "listing Gateways")
	}
	var routes networkingv1.VirtualServiceList
	if err := c.List(ctx, &routes, client.InNamespace(topology.SystemNamespace)); err != nil {
		return "", c.Explain(err, "listing VirtualServices")
	}
	for _, port := range []uint32{topology.PortXDS, topology.PortWebhook} {
		served := slices.ContainsFunc(gateways.Items, func(g *networkingv1.Gateway) bool {
			return g.Spec.GetSelector()["istio"] == topology.EastWestSelector && slices.ContainsFunc(g.Spec.GetServers(), func(s *networkingapi.Server) bool {
				return s.GetPort().GetNumber() == port && s.GetTls().GetMode() == networkingapi.ServerTLSSettings_PASSTHROUGH
			})
		})
		routed := slices.ContainsFunc(routes.Items, func(v *networkingv1.VirtualService) bool {
			return slices.ContainsFunc(v.Spec.GetTls(), func(r *networkingapi.TLSRoute) bool {
				return slices.ContainsFunc(r.GetMatch(), func(m *networkingapi.TLSMatchAttributes) bool { return m.GetPort() == port })
			})
		})
		switch {
		case !served:
			return fmt.Sprintf("no Gateway has port %d", port), nil
		case !routed:
			return fmt.Sprintf("no VirtualService has a route for port %d", port), nil
		}
	}
	return "", nil
}

// revisioned is a name of Istio's chart with the control plane's revision.
func (m *member) revisioned(name string) string { return m.mesh.Topology.Revisioned(name) }
