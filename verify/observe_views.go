// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
)

const (
	// convergeWithin bounds the wait until proxies and gateways know the probes; in a broken
	// mesh they may never do, and what they know then is judged. A loaded machine is slow and
	// not broken, and most broken meshes show an obstacle that ends the wait sooner.
	convergeWithin = 15 * time.Second
	// scanWithin bounds the look at all proxies; those that did not answer by then are counted.
	scanWithin = 30 * time.Second
	// proxyLimit bounds the proxies of one cluster that are asked for all their endpoints.
	proxyLimit = 20
)

// converge waits until the callers' proxies and the gateways see what they should, or until
// time is up, and records what they see then.
func (s *session) converge(ctx context.Context) {
	if !s.want[FactViews] && !s.want[FactWire] && !s.want[FactCalls] && !s.want[FactKnocks] && !s.want[FactFailover] {
		return
	}
	began := time.Now()
	o := poll.Options{What: "the proxies to know the probes", Interval: 200 * time.Millisecond, Deadline: convergeWithin}
	seen := lastWhole(ctx, o, s.sight, func(x sight) bool { return s.converged(x.gateways, x.views) })
	if ctx.Err() != nil {
		return
	}
	s.record(FactGateways, began, func(w *World) { w.Gateways = seen.gateways })
	s.scan(ctx, seen.views)
	s.record(FactViews, began, func(w *World) { w.Views = seen.views })
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
// not cut off by that. The first gets the time that it needs: without it nothing is known.
func lastWhole[T any](ctx context.Context, o poll.Options, look func(context.Context) T, enough func(T) bool) T {
	var last T
	begun := false
	_ = poll.Until(ctx, o, func(looking context.Context) (bool, string, error) { // what was seen is judged
		if !begun {
			first, cancel := context.WithTimeout(ctx, lookWithin)
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

// scan looks through the endpoints of every connected proxy for pods of other networks.
func (s *session) scan(ctx context.Context, views map[string]Views) {
	if !s.want[FactViews] || !slices.Contains(s.suites, SuiteDiscovery) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scanWithin)
	defer cancel()
	pods := collect(s, func(m *member) []corev1.Pod {
		var list corev1.PodList
		if m.client == nil || m.client.List(ctx, &list) != nil {
			return nil
		}
		return list.Items
	})
	near := map[string]map[string]bool{} // addresses by network
	for c, list := range pods {
		n := s.world.network(c)
		if near[n] == nil {
			near[n] = map[string]bool{}
		}
		for i := range list {
			if !list[i].Spec.HostNetwork && list[i].Status.PodIP != "" {
				near[n][list[i].Status.PodIP] = true
			}
		}
	}
	var mu sync.Mutex
	s.each(func(m *member) {
		v := m.astray(ctx, pods[m.name], near)
		mu.Lock()
		defer mu.Unlock()
		old := views[m.name]
		v.Problem, v.Services = old.Problem, old.Services
		views[m.name] = v
	})
}

// astray asks the proxies of one cluster, at most proxyLimit of them.
func (m *member) astray(ctx context.Context, pods []corev1.Pod, near map[string]map[string]bool) Views {
	proxies := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !proxied(&p) })
	v := Views{Total: len(proxies)}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(writers)
	for i := range proxies[:min(len(proxies), proxyLimit)] {
		pod := &proxies[i]
		g.Go(func() error {
			page, err := m.page(ctx, pod.Namespace, pod.Name, portEnvoy, pageClusters)
			var clusters []envoyCluster
			if err == nil {
				clusters, err = parseClusters(page)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				v.Unread = append(v.Unread, pod.Namespace+"/"+pod.Name+": "+sentence(err))
				return nil
			}
			v.Proxies++
			v.Astray = append(v.Astray, strays(pod, clusters, m.world.network(m.name), near)...)
			return nil
		})
	}
	_ = g.Wait() // unread proxies are counted, not returned
	slices.Sort(v.Astray)
	return v
}

// strays are the endpoints that only another network's pods have.
func strays(pod *corev1.Pod, clusters []envoyCluster, network string, near map[string]map[string]bool) []string {
	var found []string
	for _, c := range clusters {
		if called(c.Name) == "" {
			continue
		}
		for _, e := range c.Endpoints {
			if near[network][e.Address] {
				continue
			}
			for _, n := range sortedKeys(near) {
				if n != network && near[n][e.Address] {
					found = append(found, fmt.Sprintf("%s/%s has %s:%d of %s for %s", pod.Namespace, pod.Name, e.Address, e.Port, n, called(c.Name)))
				}
			}
		}
	}
	return found
}

// proxied says whether a pod runs Istio's proxy, as a container or a native sidecar.
func proxied(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
		return false
	}
	return slices.ContainsFunc(append(slices.Clone(p.Spec.InitContainers), p.Spec.Containers...), func(c corev1.Container) bool {
		return strings.HasPrefix(c.Name, "istio-proxy")
	})
}
