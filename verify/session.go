// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/kube"
)

// session is one run: what is known so far, and the checks that wait for it.
type session struct {
	mesh     Mesh
	options  Options
	suites   []string
	services []service
	roles    []role
	zone     string
	members  map[string]*member
	// settling is how long proxies get to know the probes, and oneLook says that what was not
	// seen is not looked for again: the next round does.
	settling time.Duration
	oneLook  bool
	// answering bounds the wait for one answer.
	answering time.Duration
	// wake is told of a cluster that has fallen silent; nil but in a watch.
	wake chan struct{}
	// before are the requests that the clients had sent before they were used here, by cluster,
	// sent those of the probes since.
	before map[string]int64
	sent   atomic.Int64

	mu      sync.Mutex // guards what follows, and keeps observers one at a time
	world   *World
	checks  []Check // all that are judged; pending are those that wait
	pending []Check
	have    map[Fact]bool
	want    map[Fact]bool
	results []Result
	// restored are the faults of a run that was killed, which this one has undone.
	restored []string
	// swept gets what became of the namespaces of a watch that was killed; nil when nobody looks.
	swept chan error
}

func newSession(mesh Mesh, options Options, clusters, suites []string, now time.Time) *session {
	t := mesh.Topology
	checks := selected(suites, options.Access)
	s := &session{
		mesh: mesh, options: options, suites: suites,
		services: services(t, clusters, suites, options.Disruptive), roles: roles(suites), zone: newZone(),
		members: map[string]*member{}, before: map[string]int64{}, settling: convergeWithin, answering: answerWithin,
		checks: checks, pending: checks, have: map[Fact]bool{}, want: needs(checks),
		world: &World{
			Topology: t, Clusters: clusters, Namespace: t.Spec.Verify.Probe.Namespace, TrustDomain: t.Spec.Mesh.TrustDomain, Access: options.Access,
			Now: now, Took: map[Fact]time.Duration{}, Disruptive: options.Disruptive,
		},
	}
	for _, c := range slices.Concat(clusters, s.world.planes()) {
		if s.members[c] == nil {
			s.members[c] = newMember(s, c, mesh.Clients[c])
			if client := mesh.Clients[c]; client != nil {
				s.before[c] = kube.Requests(client)
			}
		}
	}
	return s
}

// looking bounds a look at an API server, a control plane or a proxy.
func (s *session) looking() time.Duration { return min(lookWithin, s.answering) }

// requests counts what was sent so far.
func (s *session) requests() *Requests {
	r := &Requests{API: map[string]int64{}, Probes: s.sent.Load()}
	for c, m := range s.members {
		if m.client != nil {
			r.API[c] = kube.Requests(m.client) - s.before[c]
		}
	}
	return r
}

// state tells the caller what is being done.
func (s *session) state(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.State != nil {
		s.options.State(text)
	}
}

// record stores an observation and judges the checks that have waited for it.
func (s *session) record(fact Fact, began time.Time, store func(*World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	store(s.world)
	// Certificates are judged by when they were seen: the start may be minutes ago.
	s.world.Now = time.Now()
	s.have[fact] = true
	s.world.Took[fact] = time.Since(began)
	s.judge(func(c Check) bool { return !slices.ContainsFunc(c.Needs, func(f Fact) bool { return !s.have[f] }) })
}

// judge runs and drops the pending checks that are ready. The lock is held.
func (s *session) judge(ready func(Check) bool) {
	var waiting []Check
	for _, c := range s.pending {
		if !ready(c) {
			waiting = append(waiting, c)
			continue
		}
		for _, r := range c.run(s.world) {
			s.results = append(s.results, r)
			if s.options.Observe != nil {
				s.options.Observe(r)
			}
		}
	}
	s.pending = waiting
}

// finish judges what is left by what there is and returns all results.
func (s *session) finish() []Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judge(func(Check) bool { return true })
	return s.results
}

// look reads the world under the lock.
func look[T any](s *session, read func(*World) T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read(s.world)
}

// prove claims and observes. An error means that nothing can be judged.
func (s *session) prove(ctx context.Context) error {
	restored, err := Restore(ctx, s.mesh.Clients, s.mesh.Network, s.state)
	for _, f := range restored {
		s.restored = append(s.restored, f.Undone())
	}
	if err != nil {
		return err
	}
	s.state("claiming the probe namespaces")
	beating, stop := context.WithCancel(ctx)
	defer stop()
	if err := s.claim(ctx, beating); err != nil {
		return err
	}
	// A killed watch shows only after seconds that it is dead: the proof goes on meanwhile.
	s.swept = make(chan error, 1)
	go func() { s.swept <- s.joined(func(m *member) error { return m.sweep(ctx) }) }()
	s.observe(ctx)
	return ctx.Err()
}

// claim makes the namespace in every cluster and shows that it lives as soon as it is made
// (until beating ends): the others may take long. A cluster where that does not work can not
// be used; one where somebody else is at work ends the run.
func (s *session) claim(ctx, beating context.Context) error {
	var mu sync.Mutex
	var busy []error
	s.each(func(m *member) {
		err := m.claim(ctx)
		if errors.Is(err, ErrBusy) {
			mu.Lock()
			defer mu.Unlock()
			busy = append(busy, err)
			return
		}
		m.broken(err)
		go m.beat(beating)
	})
	return errors.Join(append(busy, ctx.Err())...)
}

// each runs f for every member at once.
func (s *session) each(f func(*member)) { s.over(s.world.Clusters, f) }

// over runs f for some clusters at once.
func (s *session) over(clusters []string, f func(*member)) {
	var g errgroup.Group
	for _, c := range clusters {
		g.Go(func() error {
			f(s.members[c])
			return nil
		})
	}
	_ = g.Wait() // no member returns an error: each keeps its own
}

// collect runs f for every member at once and gathers what each saw.
func collect[T any](s *session, f func(*member) T) map[string]T {
	return collectOver(s, s.world.Clusters, f)
}

func collectOver[T any](s *session, clusters []string, f func(*member) T) map[string]T {
	var mu sync.Mutex
	all := map[string]T{}
	s.over(clusters, func(m *member) {
		v := f(m)
		mu.Lock()
		defer mu.Unlock()
		all[m.name] = v
	})
	return all
}

// observe makes every observation that a check needs, those without probes while the probes
// start. Errors become problems of what was observed.
func (s *session) observe(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.observeSigners(ctx) })
	wg.Go(func() { s.observeControls(ctx) })
	wg.Go(func() { s.observeServed(ctx) })
	wg.Go(func() { s.observeNodes(ctx) })
	wg.Go(func() { s.observeOwn(ctx) })
	began := time.Now()
	s.state("starting the probes")
	s.each(func(m *member) { m.broken(m.start(ctx)) })
	wg.Wait()
	s.state("waiting for the proxies to know each other")
	s.observeProbes(ctx, began)
	s.observeRoots(ctx)
	s.converge(ctx)
	s.state("sending requests")
	wg.Go(func() { s.observeWire(ctx) })
	wg.Go(func() { s.observeWithin(ctx) })
	wg.Go(func() { s.observeCalls(ctx) })
	wg.Go(func() { s.observeOutside(ctx) })
	wg.Go(func() { s.observeKnocks(ctx) })
	wg.Go(func() { s.observeExposed(ctx) })
	wg.Go(func() { s.observeNames(ctx) })
	wg.Go(func() { s.observeCallers(ctx) })
	wg.Go(func() { s.observeLoads(ctx) })
	wg.Wait()
	if s.want[FactFailover] {
		s.state("letting backends fail")
		s.observeFailover(ctx)
	}
}

// remove takes everything away again, in all clusters at once. It goes on after ctx ended,
// for hurry at most.
func (s *session) remove(ctx context.Context) error {
	ctx, cancel := outlive(ctx, hurry)
	defer cancel()
	return s.joined(func(m *member) error { return m.remove(ctx) })
}

// joined runs f for every member at once and returns all errors.
func (s *session) joined(f func(*member) error) error {
	var mu sync.Mutex
	var errs []error
	s.each(func(m *member) {
		err := f(m)
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	})
	return errors.Join(errs...)
}

// outlive is ctx without its end, until some time after it.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return lasting, func() {
		stop()
		cancel()
	}
}
