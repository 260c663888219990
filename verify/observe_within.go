// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"slices"
	"time"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// observeWithin has the caller of each cluster call the echo of its own on a path that everybody
// may call. Where not even that passes, what does not get to another cluster says nothing of the
// mesh; then the policies that may be why are read too.
func (s *session) observeWithin(ctx context.Context) {
	if !s.want[FactWithin] {
		return
	}
	began := time.Now()
	all := collect(s, func(m *member) Within { return s.within(ctx, m) })
	s.record(FactWithin, began, func(w *World) { w.Within = all })
}

func (s *session) within(ctx context.Context, m *member) Within {
	if why := m.why(); why != "" {
		return Within{Call: Call{Problem: why}}
	}
	in := Within{
		Call: s.call(ctx, CallKey{m.name, m.name, CallOpen}, roleCaller,
			probe.RunRequest{URL: address(host(m.namespace, serviceOnly(m.name)), pathOpen)}),
		Refused: m.refusals(),
	}
	// What can not be read is not named.
	if config := m.config(); config != nil {
		in.Policies = m.policies(ctx, config, topology.SystemNamespace)
		if !in.let(m.name) {
			in.Policies = append(in.Policies, m.policies(ctx, config, m.namespace)...)
		}
	}
	if !in.let(m.name) {
		in.Network = m.networkPolicies(ctx)
	}
	return in
}

// policies are the AuthorizationPolicies of a namespace that may deny something, but for the
// probe's own.
func (m *member) policies(ctx context.Context, c *kube.Client, namespace string) []Policy {
	var list securityv1.AuthorizationPolicyList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil
	}
	var all []Policy
	for _, p := range list.Items {
		action := p.Spec.GetAction().String()
		// What names its targets is about gateways of the Gateway API, waypoints or ambient.
		if m.own(p.Labels) || action == "AUDIT" || p.Spec.GetTargetRef() != nil || len(p.Spec.GetTargetRefs()) > 0 {
			continue
		}
		all = append(all, Policy{Name: p.Namespace + "/" + p.Name, Action: action, Rules: len(p.Spec.GetRules()), Selector: p.Spec.GetSelector().GetMatchLabels()})
	}
	return all
}

// networkPolicies are those of the probe's namespace, but for its own.
func (m *member) networkPolicies(ctx context.Context) []string {
	var list networkingv1.NetworkPolicyList
	if err := m.client.List(ctx, &list, client.InNamespace(m.namespace)); err != nil {
		return nil
	}
	var names []string
	for _, p := range list.Items {
		if !m.own(p.Labels) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// own says whether an object is one that verify made.
func (m *member) own(labels map[string]string) bool {
	for key, value := range m.client.Owned(m.mesh.Topology, m.mesh.Owner) {
		if labels[key] != value {
			return false
		}
	}
	return true
}
