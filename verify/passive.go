// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
)

// lookOn observes what can be seen without probes. An error means that nothing can be judged.
func (s *session) lookOn(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.observeControls(ctx) })
	wg.Go(func() { s.observeNodes(ctx) })
	wg.Go(func() { s.observeSigners(ctx) })
	wg.Go(func() { s.observeRoots(ctx) })
	wg.Go(func() { s.observeServed(ctx) })
	s.state("asking gateways and proxies")
	began := time.Now()
	gateways := collect(s, func(m *member) Gateway {
		ctx, cancel := context.WithTimeout(ctx, lookWithin)
		defer cancel()
		g, pods := m.gateway(ctx)
		g.Replicas = m.replicas(ctx, pods)
		return g
	})
	s.record(FactGateways, began, func(w *World) { w.Gateways = gateways })
	s.scan(ctx, began, gateways, map[string]Views{})
	wg.Wait()
	return ctx.Err()
}

// PassiveRole are the rights in a cluster that a passive verification of contexts needs and all
// that it uses, but for what Kubernetes lets everybody do (system:discovery and
// system:public-info-viewer). It reads no Secret. Forwarding a port is the one right that does
// more than look: it reaches every port of every pod, and there is no smaller one.
func PassiveRole() []rbacv1.PolicyRule {
	read := func(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
	}
	return []rbacv1.PolicyRule{
		// Which clusters, networks and control planes there are.
		read("", []string{"get"}, "namespaces", "configmaps"),
		read("", []string{"list"}, "nodes"),
		read("apps", []string{"list"}, "deployments"),
		// East-west gateways, what they expose, and the services that pods back.
		read("", []string{"get", "list"}, "services"),
		read("", []string{"list"}, "pods"),
		read("networking.istio.io", []string{"list"}, "gateways"),
		// istiod's pages about its peers, and Envoy's about endpoints and certificates.
		read("", []string{"create"}, "pods/portforward"),
	}
}
