// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/internal/kube"
)

// scanWithin bounds the look at all proxies; those that did not answer by then are counted.
const scanWithin = 30 * time.Second

// scanned is what the proxies of one cluster say.
type scanned struct {
	views Views // only what is about all proxies
	held  Held
	reach Reach
}

// scan asks proxies, the user's own too, for their endpoints and their certificates, and records
// what they say with what is known of the callers' views.
func (s *session) scan(ctx context.Context, began time.Time, gateways map[string]Gateway, views map[string]Views) {
	if s.want[FactHeld] || s.want[FactReach] || s.want[FactViews] && slices.Contains(s.suites, SuiteDiscovery) {
		all := s.proxies(ctx, gateways)
		held, reach := map[string]Held{}, map[string]Reach{}
		for c, one := range all {
			held[c], reach[c] = one.held, one.reach
			one.views.Problem, one.views.Services = or(views[c].Problem, one.views.Problem), views[c].Services
			views[c] = one.views
		}
		s.record(FactHeld, began, func(w *World) { w.Held = held })
		s.record(FactReach, began, func(w *World) { w.Reach = reach })
	}
	s.record(FactViews, began, func(w *World) { w.Views = views })
}

// census is what the API says of the pods of one cluster, and which services it backs with them.
type census struct {
	problem string
	pods    []corev1.Pod
	backed  []string
}

func (m *member) census(ctx context.Context) census {
	c := census{problem: m.blind()}
	if c.problem != "" {
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, m.looking())
	defer cancel()
	var pods corev1.PodList
	if err := m.client.List(ctx, &pods); err != nil {
		c.problem = sentence(m.client.Explain(err, "listing pods"))
		return c
	}
	c.pods = pods.Items
	if !m.want[FactReach] {
		return c
	}
	var services corev1.ServiceList
	if err := m.client.List(ctx, &services); err != nil {
		c.problem = sentence(m.client.Explain(err, "listing services"))
	}
	c.backed = backed(services.Items, c.pods)
	return c
}

// proxies asks those of every cluster at once.
func (s *session) proxies(ctx context.Context, gateways map[string]Gateway) map[string]scanned {
	ctx, cancel := context.WithTimeout(ctx, scanWithin)
	defer cancel()
	known := collect(s, func(m *member) census { return m.census(ctx) })
	near := map[string]map[string]bool{} // addresses of pods by network
	for c, of := range known {
		n := s.world.network(c)
		if near[n] == nil {
			near[n] = map[string]bool{}
		}
		for address := range podAddresses(of.pods) {
			near[n][address] = true
		}
	}
	return collect(s, func(m *member) scanned {
		one, clusters := m.scan(ctx, known[m.name], near)
		one.reach = s.world.reach(m.name, clusters, known, gateways)
		one.reach.Total = one.views.Total
		return one
	})
}

func podAddresses(pods []corev1.Pod) map[string]bool {
	all := map[string]bool{}
	for i := range pods {
		if !pods[i].Spec.HostNetwork && pods[i].Status.PodIP != "" {
			all[pods[i].Status.PodIP] = true
		}
	}
	return all
}

// scan asks the proxies of one cluster, at most as many as the topology says, and returns their upstream
// clusters too.
func (m *member) scan(ctx context.Context, known census, near map[string]map[string]bool) (a scanned, read [][]envoyCluster) {
	proxies := slices.DeleteFunc(slices.Clone(known.pods), func(p corev1.Pod) bool { return !proxied(&p) })
	a.views, a.held = Views{Problem: known.problem, Total: len(proxies)}, Held{Total: len(proxies)}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(writers)
	for _, i := range sample(len(proxies), m.mesh.Topology.Spec.Verify.Proxies) {
		pod := &proxies[i]
		g.Go(func() error {
			name := pod.Namespace + "/" + pod.Name
			clusters, err := m.clusters(ctx, pod)
			holder, herr := Holder{Pod: name}, error(nil)
			if m.want[FactHeld] {
				holder, herr = m.holder(ctx, pod)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				a.views.Unread = append(a.views.Unread, name+": "+sentence(err))
			} else {
				a.views.Proxies++
				a.views.Astray = append(a.views.Astray, strays(pod, clusters, m.world.network(m.name), near)...)
				read = append(read, clusters)
			}
			if herr != nil {
				a.held.Unread = append(a.held.Unread, name+": "+sentence(herr))
			} else if m.want[FactHeld] {
				a.held.Proxies = append(a.held.Proxies, holder)
			}
			return nil
		})
	}
	_ = g.Wait() // unread proxies are counted, not returned
	slices.Sort(a.views.Astray)
	slices.Sort(a.views.Unread)
	slices.Sort(a.held.Unread)
	slices.SortFunc(a.held.Proxies, func(x, y Holder) int { return strings.Compare(x.Pod, y.Pod) })
	return a, read
}

// sample picks at most limit of n places, evenly: the API lists by namespace, and the first ones
// would always be those of one.
func sample(n, limit int) []int {
	if n <= limit {
		limit = n
	}
	places := make([]int, limit)
	for i := range places {
		places[i] = i * n / limit
	}
	return places
}

func (m *member) clusters(ctx context.Context, pod *corev1.Pod) ([]envoyCluster, error) {
	page, err := m.page(ctx, pod.Namespace, pod.Name, portEnvoy, pageClusters)
	if err != nil {
		return nil, err
	}
	return parseClusters(page)
}

// holder reads the certificates of a proxy. Envoy does not show the key.
func (m *member) holder(ctx context.Context, pod *corev1.Pod) (Holder, error) {
	h := Holder{Pod: pod.Namespace + "/" + pod.Name}
	page, err := m.page(ctx, pod.Namespace, pod.Name, portEnvoy, pageCertificates)
	if err == nil {
		h.Chain, h.Roots, err = parseSecrets(page)
	}
	return h, err
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

// proxied says whether a pod runs Istio's proxy.
func proxied(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && sidecar(p)
}

// reach compares the services that other clusters back with the endpoints in the proxies of one.
func (w *World) reach(from string, proxies [][]envoyCluster, known map[string]census, gateways map[string]Gateway) Reach {
	r := Reach{Problem: known[from].problem, Proxies: len(proxies), Backed: map[string][]string{}, Reached: map[string][]string{}, Unseen: map[string]string{}}
	for _, to := range w.peers(from) {
		if why := known[to].problem; why != "" {
			r.Unseen[to] = why
		}
		reached := w.reached(from, to, proxies, known, gateways)
		for _, host := range known[to].backed {
			if has, knows := reached[host]; knows {
				r.Backed[to] = append(r.Backed[to], host)
				if has {
					r.Reached[to] = append(r.Reached[to], host)
				}
			}
		}
	}
	return r
}

// reached are the hosts that the proxies of one cluster know, with whether any of them has a
// healthy endpoint in another: a pod of the same network, or the gateway of another one.
func (w *World) reached(from, to string, proxies [][]envoyCluster, known map[string]census, gateways map[string]Gateway) map[string]bool {
	there := podAddresses(known[to].pods)
	if w.apart(from, to) {
		there = map[string]bool{}
		for _, address := range gateways[to].Addresses {
			there[address] = true
		}
	}
	reached := map[string]bool{}
	for _, c := range slices.Concat(proxies...) {
		host := called(c.Name)
		if host == "" || !strings.HasPrefix(c.Name, "outbound|") {
			continue
		}
		reached[host] = reached[host] || slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool { return e.Healthy && there[e.Address] })
	}
	return reached
}

// backed are the hosts of the services of a cluster that a ready pod with a sidecar is behind: those
// can be called from another network. What belongs to Kubernetes or Istio is left out, its
// services are each cluster's own.
func backed(services []corev1.Service, pods []corev1.Pod) []string {
	ready := map[string][]labels.Set{} // by namespace
	for i := range pods {
		if p := &pods[i]; proxied(p) && kube.PodReady(p) {
			ready[p.Namespace] = append(ready[p.Namespace], p.Labels)
		}
	}
	var hosts []string
	for i := range services {
		s := &services[i]
		if len(s.Spec.Selector) == 0 || s.Spec.ClusterIP == corev1.ClusterIPNone || strings.HasPrefix(s.Namespace, "kube-") || strings.HasPrefix(s.Namespace, "istio-") {
			continue
		}
		selector := labels.SelectorFromSet(s.Spec.Selector)
		if slices.ContainsFunc(ready[s.Namespace], func(l labels.Set) bool { return selector.Matches(l) }) {
			hosts = append(hosts, s.Name+"."+s.Namespace+clusterDomain)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// intermediates are the certificates between leaf and root.
func (h Holder) intermediates() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range h.Chain[1:] {
		pool.AddCert(c)
	}
	return pool
}
