// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
)

const (
	// convergeWithin bounds the wait until proxies and gateways know the probes; in a broken
	// mesh they may never do, and what they know then is judged. A loaded machine is slow and
	// not broken, and most broken meshes show an obstacle that ends the wait sooner.
	convergeWithin = 15 * time.Second
)

// converge waits until the callers' proxies and the gateways see what they should, or until
// time is up, and records what they see then.
func (s *session) converge(ctx context.Context) {
	if !slices.ContainsFunc([]Fact{FactViews, FactWire, FactHeld, FactCalls, FactKnocks, FactNames, FactCallers, FactFailover}, func(f Fact) bool { return s.want[f] }) {
		return
	}
	began := time.Now()
	o := poll.Options{What: "the proxies to know the probes", Interval: 200 * time.Millisecond, Deadline: cmp.Or(s.options.within, s.settling)}
	seen := lastWhole(ctx, o, s.looking(), s.sight, func(x sight) bool { return s.converged(x.gateways, x.views) })
	if ctx.Err() != nil {
		return
	}
	s.record(FactGateways, began, func(w *World) { w.Gateways = seen.gateways })
	s.scan(ctx, began, seen.gateways, seen.views)
}

// sight is one look at all gateways and callers.
type sight struct {
	gateways map[string]Gateway
	views    map[string]Views
}

func (s *session) sight(ctx context.Context) sight {
	gateways := collect(s, func(m *member) Gateway {
		g, pods := m.gateway(ctx)
		g.Replicas = m.replicas(ctx, pods)
		return g
	})
	return sight{gateways, collect(s, func(m *member) Views { return m.view(ctx, gateways) })}
}

// lastWhole looks until it has seen enough or time is up, and returns the last look that was
// not cut off by that. The first gets the time that it needs, at most so much: without it nothing is
// known.
func lastWhole[T any](ctx context.Context, o poll.Options, atMost time.Duration, look func(context.Context) T, enough func(T) bool) T {
	var last T
	begun := false
	_ = poll.Until(ctx, o, func(looking context.Context) (bool, string, error) { // what was seen is judged
		if !begun {
			first, cancel := context.WithTimeout(ctx, atMost)
			defer cancel()
			looking = first
		}
		now := look(looking)
		if begun && looking.Err() != nil {
			return false, "", looking.Err()
		}
		begun, last = true, now
		return enough(last), "not all is known", nil
	})
	if !begun {
		last = look(ctx) // over before it began: it says so of all that there is to see
	}
	return last
}

// converged says whether more waiting can change nothing.
func (s *session) converged(gateways map[string]Gateway, views map[string]Views) bool {
	for c, g := range gateways {
		// Without probes behind it a gateway has nothing to route.
		if s.members[c].why() == "" && !g.settled() {
			return false
		}
	}
	w := look(s, func(w *World) World { return *w })
	w.Gateways = gateways
	for _, from := range w.Clusters {
		if w.notReady(from) != "" {
			continue
		}
		for _, svc := range s.services {
			if !w.expected(from, svc, views[from].Services[host(w.Namespace, svc.Name)]) {
				return false
			}
		}
	}
	return true
}

// expected says whether a caller's endpoints of one service are those that it should have,
// leaving out clusters that a known obstacle keeps away.
func (w *World) expected(from string, svc service, endpoints []Endpoint) bool {
	weight, count, total := map[string]int{}, map[string]int{}, 0
	for _, e := range endpoints {
		if e.Healthy {
			weight[e.Cluster] += e.Weight
			count[e.Cluster]++
			total += e.Weight
		}
	}
	var want []string
	ready := 0
	for _, c := range w.Clusters {
		if !w.Topology.Knows(from, c) {
			continue
		}
		code, _ := w.obstacle(from, c)
		if w.Probes[c].Ready[svc.Name] > 0 && (c == from || !slices.Contains([]string{"FED001", "FED010", "NET001"}, code)) {
			want = append(want, c)
			ready += w.Probes[c].Ready[svc.Name]
		}
	}
	for _, c := range want {
		if svc.Policy.Locality {
			// Priorities decide, not weights; and Envoy keeps one of the endpoints that a gateway
			// has for pods in several zones.
			if count[c] == 0 || c == from && count[c] != w.Probes[c].Ready[svc.Name] {
				return false
			}
			continue
		}
		share := float64(w.Probes[c].Ready[svc.Name]) / float64(ready)
		if total == 0 || math.Abs(float64(weight[c])/float64(total)-share) > 0.01 {
			return false
		}
	}
	return true
}

// view reads the probe's services in the caller's Envoy.
func (m *member) view(ctx context.Context, gateways map[string]Gateway) Views {
	v := Views{Problem: m.why(), Services: map[string][]Endpoint{}}
	caller := m.pod(roleCaller)
	if v.Problem != "" || caller == nil {
		v.Problem = or(v.Problem, "there is no caller")
		return v
	}
	page, err := m.page(ctx, m.namespace, caller.Name, portEnvoy, pageClusters)
	var clusters []envoyCluster
	if err == nil {
		clusters, err = parseClusters(page)
	}
	if err != nil {
		v.Problem = sentence(err)
		return v
	}
	for _, svc := range m.services {
		h := host(m.namespace, svc.Name)
		endpoints, _ := endpointsOf(clusters, outbound(probe.PortApp, h))
		for i := range endpoints {
			m.place(&endpoints[i], gateways)
		}
		v.Services[h] = endpoints
	}
	return v
}

// place says whose address an endpoint has. Pods of the own network come first: another
// network may use the same addresses.
func (m *member) place(e *Endpoint, gateways map[string]Gateway) {
	var far []string
	for _, c := range m.world.Clusters {
		if slices.Contains(gateways[c].Addresses, e.Address) {
			e.Cluster, e.Gateway = c, true
			return
		}
		if m.members[c].hasAddress(e.Address) {
			if !m.world.apart(m.name, c) {
				e.Cluster = c
				return
			}
			far = append(far, c)
		}
	}
	if len(far) > 0 {
		e.Cluster = far[0]
	}
}

func (m *member) hasAddress(address string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, pod := range m.pods {
		if pod.Status.PodIP == address {
			return true
		}
	}
	return false
}
