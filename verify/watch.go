// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// WatchInterval is the default time from the start of one round to that of the next.
	WatchInterval = 30 * time.Second
	// LeastInterval keeps the looks at proxies and control planes apart.
	LeastInterval = 5 * time.Second
	// roundWithin bounds a round when clusters do not answer: the start of probes is the longest
	// part of it.
	roundWithin = 3 * time.Minute
	// refreshWithin bounds the look for new credentials of a cluster that does not answer.
	refreshWithin = 20 * time.Second
	// lookAgainWithin is how long proxies that knew the probes a round ago are waited for.
	lookAgainWithin = 2 * time.Second
	// againWithin bounds the second look at an API server behind which a pod did not answer.
	againWithin = 5 * time.Second
)

// answersWithin bounds, in a watch, the wait for an answer of an API server or a pod. A cluster that
// falls silent is to be told within one interval, and half a minute is soon enough: a third of that for
// it to be noticed (deadAfter, by the heartbeat), one for this wait, one for the clusters that answer.
// Less than ten seconds would take a loaded API server for a silent one.
func answersWithin(interval time.Duration) time.Duration {
	return min(lookWithin, max(interval/3, 10*time.Second))
}

// WatchSuites are the suites that put no load on a mesh: what a watch looks at.
func WatchSuites() []string { return []string{SuiteTrust, SuiteDiscovery} }

// WatchOptions choose what is watched and who is told.
type WatchOptions struct {
	// Suites among WatchSuites; empty means all of them.
	Suites []string
	// Clusters that both ends of a pair must be among; empty means all.
	Clusters []string
	// Interval from the start of one round to that of the next; WatchInterval when 0, and at least
	// LeastInterval, which is the caller's to see to. A round that takes longer is followed by the
	// next at once.
	Interval time.Duration
	// Namespace of the probes; that of verify with "-watch" when empty, so that both can run at
	// the same time.
	Namespace string
	// State is told what is being waited for, one at a time. May be nil.
	State func(string)
	// Round is told each report, and what was sent so far, one at a time.
	Round func(*Report, Traffic)
	// within, if set, stands in for the time after which an answer is given up: tests are in a hurry.
	within time.Duration
}

// Traffic counts what a watch has sent from its start. No pair ever sees more than two requests
// in a second: a caller sends at most one a second to all clusters together, until each has
// answered, and an outsider makes one handshake with each cluster in a round, of LeastInterval at
// least.
type Traffic struct {
	// Requests by the cluster that sends them, whoever was meant to answer.
	Requests map[string]int
	// Handshakes by the cluster that makes them.
	Handshakes map[string]int
}

// clone is a copy that its reader may keep.
func (t Traffic) clone() Traffic {
	return Traffic{Requests: maps.Clone(t.Requests), Handshakes: maps.Clone(t.Handshakes)}
}

// Watch verifies again and again, with probes that stay in the clusters meanwhile, and blocks until
// ctx ends and the clusters have taken on the removal of the probes, at most some seconds later.
// A cluster that goes away is inconclusive until it is back; its probes are then found, or made
// again, and reopen is asked for its credentials, which may be others. After the end of ctx it
// returns nil, or what could not be removed; an error before is one of the start: a suite or cluster
// that does not exist, or ErrBusy.
func Watch(ctx context.Context, mesh Mesh, reopen func(context.Context) (Mesh, error), o WatchOptions) error {
	suites, err := watched(o.Suites)
	if err != nil {
		return err
	}
	clusters, err := chosenClusters(mesh.Topology, o.Clusters)
	if err != nil {
		return err
	}
	s := newSession(mesh, Options{State: o.State}, clusters, suites, time.Now())
	s.world.Namespace = or(o.Namespace, mesh.Topology.WatchNamespace())
	if n := s.world.Namespace; len(n) > 63 { // what a namespace's name may have
		return diag.Hint(fmt.Errorf("the namespace of the watch's probes would be %s, which is longer than 63 characters", n), "name a shorter one in spec.verify.probe.namespace")
	}
	for _, m := range s.members {
		m.namespace = s.world.Namespace
	}
	w := &watch{session: s, options: o, reopen: reopen, sent: Traffic{Requests: map[string]int{}, Handshakes: map[string]int{}}}
	s.oneLook, s.wake = true, make(chan struct{}, 1)
	s.answering = cmp.Or(o.within, answersWithin(w.interval()))
	beating, stop := context.WithCancel(ctx)
	err = w.start(ctx, beating)
	if err == nil {
		w.rounds(ctx, beating)
	} else if ctx.Err() != nil {
		err = nil // ended before it had begun
	}
	stop()
	s.state("removing the probes")
	return errors.Join(err, s.remove(ctx))
}

func watched(want []string) ([]string, error) {
	if len(want) == 0 {
		return WatchSuites(), nil
	}
	for _, s := range want {
		if !slices.Contains(WatchSuites(), s) {
			return nil, diag.Hint(fmt.Errorf("the suite %q is not watched: it puts load or faults on the mesh", s), "watched suites: "+strings.Join(WatchSuites(), ", "))
		}
	}
	return slices.DeleteFunc(WatchSuites(), func(s string) bool { return !slices.Contains(want, s) }), nil
}

// watch is a session that is used for one round after another.
type watch struct {
	*session
	options WatchOptions
	reopen  func(context.Context) (Mesh, error)
	sent    Traffic
	// begun says that a round is over, so that proxies have had the time to know the probes.
	begun bool
}

// start claims the namespaces as a run does: where somebody else is at work it is an error, where
// nobody answers it is tried again in each round.
func (w *watch) start(ctx, beating context.Context) error {
	w.state("claiming the probe namespaces")
	return w.claim(ctx, beating)
}

func (w *watch) interval() time.Duration { return cmp.Or(w.options.Interval, WatchInterval) }

func (w *watch) rounds(ctx, beating context.Context) {
	ticker := time.NewTicker(w.interval())
	defer ticker.Stop()
	for {
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, roundWithin)
		w.round(bounded, beating)
		cancel()
		if ctx.Err() != nil {
			return
		}
		report := w.report(w.world.Clusters, w.suites, began)
		if w.options.Round != nil {
			w.options.Round(report, w.sent.clone())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.wake:
			// A cluster has fallen silent: that is looked at now, yet no sooner after the last round than
			// the bound of what is sent allows.
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(began.Add(min(w.interval(), LeastInterval)))):
			}
		}
	}
}

// again forgets what was observed; what stands in the clusters stays.
func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.world
	w.world = &World{Topology: old.Topology, Clusters: old.Clusters, Namespace: old.Namespace, TrustDomain: old.TrustDomain,
		Now: time.Now(), Took: map[Fact]time.Duration{}}
	w.pending, w.have, w.results = w.checks, map[Fact]bool{}, nil
}

// round makes every observation once.
func (w *watch) round(ctx, beating context.Context) {
	w.again()
	w.renewClients(ctx)
	began := time.Now()
	// First: of a cluster that does not answer nothing else is asked.
	fresh := collect(w.session, func(m *member) bool { return m.keep(ctx, beating) })
	w.notice(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.observeSigners(ctx) })
	wg.Go(func() { w.observeControls(ctx) })
	wg.Go(func() { w.observeServed(ctx) })
	wg.Go(func() { w.observeNodes(ctx) })
	wg.Wait()
	w.observeProbes(ctx, began)
	w.observeRoots(ctx)
	w.settling = lookAgainWithin
	if !w.begun || slices.Contains(slices.Collect(maps.Values(fresh)), true) {
		w.settling = convergeWithin
	}
	w.converge(ctx)
	w.begun = true
	w.observeWire(ctx)
	for p, wire := range look(w.session, func(world *World) map[topology.Pair]Wire { return world.Wire }) {
		if wire.Addr != "" { // else none was tried
			w.sent.Handshakes[p.From]++
		}
	}
	w.observeAnswers(ctx)
}

// renewClients asks for the credentials of clusters that did not answer in the round before: one
// that was made again has others.
func (w *watch) renewClients(ctx context.Context) {
	away := slices.DeleteFunc(sortedKeys(w.members), func(c string) bool { return !w.members[c].away })
	if len(away) == 0 || w.reopen == nil {
		return
	}
	w.state("looking for " + strings.Join(away, ", "))
	bounded, cancel := context.WithTimeout(ctx, refreshWithin)
	defer cancel()
	mesh, err := w.reopen(bounded)
	if err != nil {
		return // it is asked for again in the next round; the reason stands in this one's report
	}
	for _, c := range away {
		if client := mesh.Clients[c]; client != nil {
			w.members[c].renewed(client)
		}
	}
}

// renewed takes another client into use. The forwards of the one before lead nowhere any more; what
// was sent by it stays counted.
func (m *member) renewed(c *kube.Client) {
	m.forget("", "")
	m.mu.Lock()
	defer m.mu.Unlock()
	before := kube.Requests(c)
	if m.client != nil {
		before -= kube.Requests(m.client) - m.before[m.name]
	}
	m.before[m.name], m.client = before, c
}

// keep sees to it that the probes of this cluster stand, and says whether any of them was made.
// What stands in the way is the reason why they can not be used in this round.
func (m *member) keep(ctx, beating context.Context) (fresh bool) {
	if !m.begin() {
		return false
	}
	fresh, err := m.stand(ctx, beating)
	m.broken(err)
	return fresh
}

// notice sees whether the clusters answer that have an istiod and no probes: external control planes.
func (w *watch) notice(ctx context.Context) {
	looking, cancel := context.WithTimeout(ctx, w.looking())
	defer cancel()
	planes := slices.DeleteFunc(w.world.planes(), func(c string) bool { return slices.Contains(w.world.Clusters, c) })
	w.over(planes, func(m *member) {
		if !m.begin() {
			return
		}
		err := m.client.Get(looking, types.NamespacedName{Name: topology.SystemNamespace}, &corev1.Namespace{})
		if err != nil && !kube.Absent(err) {
			m.leave(m.client.Explain(err, "looking at namespace "+topology.SystemNamespace))
		}
	})
}

// begin forgets what stood in the way in the round before, and says whether there is a client.
func (m *member) begin() bool {
	m.prune()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problem, m.away = "", m.client == nil
	if m.away {
		m.problem = "there is no client for " + m.name
	}
	return !m.away
}

// stand makes what is missing of the probes.
func (m *member) stand(ctx, beating context.Context) (fresh bool, err error) {
	looking, cancel := context.WithTimeout(ctx, m.looking())
	defer cancel()
	ns := &corev1.Namespace{}
	err = m.client.Get(looking, types.NamespacedName{Name: m.namespace}, ns)
	switch {
	case kube.Absent(err) || err == nil && (ns.DeletionTimestamp != nil || ns.Annotations[annotationBy] != whoami()):
		m.lost()
		if err := m.claim(ctx); err != nil {
			return false, err
		}
		go m.beat(beating)
	case err != nil:
		err = m.client.Explain(err, "looking at namespace "+m.namespace)
		m.leave(err)
		return false, err
	case m.adopt():
		go m.beat(beating)
	}
	pods, err := m.list(looking)
	if err != nil {
		if looking.Err() != nil {
			m.leave(err) // it has fallen silent in this moment
		}
		return false, err
	}
	if m.standing(pods) {
		return false, nil
	}
	m.forgetProbes()
	return true, m.start(ctx)
}

// adopt takes on a namespace of this run that it did not hear of, and says whether that is new.
func (m *member) adopt() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.claimed {
		return false
	}
	m.claimed = true
	m.claims++
	return true
}

// lost forgets probes that are gone with their namespace.
func (m *member) lost() {
	m.forgetProbes()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claimed = false // ends the heartbeat of before
	m.pods, m.uids = map[role]*corev1.Pod{}, map[string]bool{}
}

// forgetProbes closes the forwards to probes; those to istiod and gateways are in use meanwhile.
func (m *member) forgetProbes() {
	for _, r := range m.cast() {
		m.forget(m.namespace, string(r))
	}
}

// standing says whether every probe is among some pods, ready and the one that is known.
func (m *member) standing(pods []corev1.Pod) bool {
	for _, r := range m.cast() {
		known := m.pod(r)
		if known == nil || !slices.ContainsFunc(pods, func(p corev1.Pod) bool {
			return p.UID == known.UID && p.Status.PodIP == known.Status.PodIP && p.DeletionTimestamp == nil && kube.PodReady(&p)
		}) {
			return false
		}
	}
	return true
}

// prune drops the forwards that have ended, and those that the round before did not use: pods come
// and go while a watch stays, and with them which proxies are asked.
func (m *member) prune() {
	m.mu.Lock()
	var ended []*forward
	for key, f := range m.forwards {
		if used := f.used.Swap(false); f.open != nil && (f.ended() || !used) {
			ended = append(ended, f)
			delete(m.forwards, key)
		}
	}
	m.mu.Unlock()
	for _, f := range ended {
		f.close()
	}
}

// heard says whether every cluster that a caller knows, and that has a pod to answer, did; one that
// a known obstacle keeps away gets a few requests only.
func (w *watch) heard(from string, l Load) bool {
	return !slices.ContainsFunc(w.world.Clusters, func(to string) bool {
		if to != from && !w.world.Topology.Knows(from, to) || w.world.Probes[to].Ready[serviceEven] == 0 || l.Answers[to] > 0 {
			return false
		}
		code, _ := w.world.obstacle(from, to)
		return l.Sent < watchFew || to == from || !slices.Contains([]string{"FED001", "FED010", "NET001"}, code)
	})
}

// pairsOf counts the clusters that a caller's requests may go to, its own among them.
func (w *watch) pairsOf(from string) int {
	n := 1
	for _, p := range w.world.pairs() {
		if p.From == from {
			n++
		}
	}
	return n
}
