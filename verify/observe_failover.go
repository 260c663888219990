// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const (
	// faultStatus is what a failing backend answers: Istio's default policy does not retry it.
	faultStatus = http.StatusInternalServerError
	// baselineWithin is how long answers get to be steady before the fault.
	baselineWithin = 6 * time.Second
	// settleTime is what a steady time takes, with a little for the way.
	settleTime = steady*probe.BucketWidth + 500*time.Millisecond
	// loadsAtOnce bounds the steady loads that go on side by side: those of two clusters. More
	// would measure the machine and not the mesh. Those of a disruptive fault are not bounded: it
	// is made once, and all that it concerns must see it.
	loadsAtOnce = 8
	// switchTime is what switching a fault on and off again may take on a loaded machine: the
	// load goes on meanwhile.
	switchTime = 2 * launchWithin
)

// run is one steady load that goes on while faults come and go.
type run struct {
	key     LineKey
	kind    faultKind
	host    string
	m       *member // of the caller
	started time.Time
	id      string
	line    Line
}

func (r *run) pair() topology.Pair { return topology.Pair{From: r.key.From, To: r.key.To} }

// trouble is a fault that several loads go through together.
type trouble interface {
	// fail makes what the loads rest on go away.
	fail(ctx context.Context) error
	// mend undoes fail, also where that was done in part. It blocks until the order is
	// accepted, not until all is well: that time belongs to the way back.
	mend(ctx context.Context) error
}

// observeFailover lets backends fail, in two clusters at once and in more after each other: each
// ordered pair and fault has a Service of its own, so none sees the fault of another. All answer errors
// before any goes away: to bring one back starts a pod, which takes a small machine for itself, and what
// is measured beside it is the machine. Where all loads may go on side by side, those that are to lose
// their backend become steady while the others come back. What disrupts more than the probe's own
// namespace comes after that, one thing at a time.
func (s *session) observeFailover(ctx context.Context) {
	began := time.Now()
	errs, away := map[string][]*run{}, map[string][]*run{}
	loads := 0
	for _, from := range s.world.Clusters {
		of := func(errorsFault bool) []*run {
			return s.trials(func(p topology.Pair, f faultKind) bool {
				return p.From == from && !f.disruptive() && f.errors() == errorsFault
			})
		}
		errs[from], away[from] = of(true), of(false)
		loads += len(errs[from]) + len(away[from])
	}
	room := semaphore.NewWeighted(loadsAtOnce)
	var mended, over, gone sync.WaitGroup
	for _, from := range s.world.Clusters {
		mended.Add(1)
		over.Go(func() {
			repaired := sync.OnceFunc(mended.Done)
			defer repaired()
			s.backends(ctx, room, errs[from], func(some []*run) trouble {
				return told{backend{s.members[from], some, true}, repaired}
			}, nil)
		})
	}
	if loads <= loadsAtOnce {
		mended.Wait()
	} else {
		over.Wait()
	}
	for _, from := range s.world.Clusters {
		gone.Go(func() {
			s.backends(ctx, room, away[from], func(some []*run) trouble {
				return backend{s.members[from], some, false}
			}, over.Wait)
		})
	}
	over.Wait()
	gone.Wait()
	all := map[LineKey]Line{}
	for _, from := range s.world.Clusters {
		keep(all, errs[from])
		keep(all, away[from])
	}
	faults := s.disrupt(ctx, all)
	s.record(FactFailover, began, func(w *World) { w.Lines, w.Faults = all, faults })
}

// backends lets backends of one cluster fail, one after another: the loads share the one that goes away.
func (s *session) backends(ctx context.Context, room *semaphore.Weighted, runs []*run, fault func([]*run) trouble, turn func()) {
	for some := range slices.Chunk(runs, loadsAtOnce) {
		share := int64(len(some))
		if room.Acquire(ctx, share) != nil {
			return // the run was ended
		}
		s.trial(ctx, some, fault(some), turn)
		room.Release(share)
	}
}

// told is a fault whose repair somebody waits for.
type told struct {
	trouble
	mended func()
}

func (t told) mend(ctx context.Context) error {
	defer t.mended()
	return t.trouble.mend(ctx)
}

func keep(all map[LineKey]Line, runs []*run) {
	for _, r := range runs {
		all[r.key] = r.line
	}
}

// trials are the loads that one fault concerns.
func (s *session) trials(concerns func(topology.Pair, faultKind) bool) []*run {
	var runs []*run
	for _, p := range s.world.pairs() {
		if s.world.hindered(p.From, p.To) != "" {
			continue // nothing could fail over
		}
		for _, f := range faultKinds(s.options.Disruptive) {
			// Where both answer at any time nothing fails over, unless the way to one goes.
			if !concerns(p, f) || !f.disruptive() && s.world.shared(p) {
				continue
			}
			runs = append(runs, &run{
				key: LineKey{p.From, p.To, f.variant()}, kind: f, m: s.members[p.From],
				host: host(s.world.Namespace, serviceFault(s.mesh.Topology, f, p)),
				line: Line{Rate: float64(s.mesh.Topology.Spec.Verify.Failover.Rate), Policy: policyEvidence(f),
					Problem: or(s.members[p.From].why(), s.members[p.To].why())},
			})
		}
	}
	return runs
}

// trial is one fault from beginning to end: steady, fault, steady elsewhere, repair, steady
// again. Each wait is bounded; what was seen by then is judged. A turn that is not nil blocks until
// others, whose backends are mended, have come back: only then is the fault made.
func (s *session) trial(ctx context.Context, runs []*run, t trouble, turn func()) {
	set := s.mesh.Topology.Spec.Verify.Failover
	within, back := time.Duration(set.Within), time.Duration(set.BackWithin)
	bound := baselineWithin + 2*settleTime + within + back + switchTime
	if turn != nil {
		bound += back + settleTime
	}
	for _, r := range runs {
		s.begin(ctx, r, bound)
	}
	defer func() {
		for _, r := range runs {
			s.end(ctx, r)
		}
	}()
	if !usable(runs) {
		return
	}
	calm := s.await(ctx, runs, baselineWithin, func(r *run, st story) bool { return r.kind.calm(st) >= 0 })
	if !calm && disrupts(runs) {
		// A fault that nobody could judge would only do harm.
		spoil(runs, fmt.Errorf("no load was answered steadily by both clusters within %s, so nothing was broken on purpose", baselineWithin))
	}
	if !usable(runs) || ctx.Err() != nil {
		return
	}
	if turn != nil {
		turn()
	}
	s.lookOnce(ctx, runs)
	for _, r := range runs {
		st := r.line.read(r.pair())
		r.line.Early, r.line.Fault = sum(st.remote, 0, len(st.remote)), time.Since(r.started)
	}
	if err := t.fail(ctx); err != nil {
		if disrupts(runs) {
			err = errors.Join(err, s.mend(ctx, runs, t)) // what was done in part
		}
		spoil(runs, err)
		return
	}
	left := s.await(ctx, runs, within+settleTime, func(r *run, st story) bool { return r.kind.moved(st) >= 0 })
	for _, r := range runs {
		r.line.Repair = time.Since(r.started)
	}
	if err := s.mend(ctx, runs, t); err != nil {
		spoil(runs, err)
		return
	}
	if !left && !disrupts(runs) {
		back = 0 // nothing went elsewhere, so nothing comes back
	}
	s.await(ctx, runs, back+settleTime, func(r *run, st story) bool { return r.kind.returned(st) >= 0 })
}

// mend takes a fault back. What is broken outside of the probe's namespace does not go with it,
// so that is mended after an interrupt too, for hurry at most.
func (s *session) mend(ctx context.Context, runs []*run, t trouble) error {
	if !disrupts(runs) {
		return t.mend(ctx)
	}
	lasting, cancel := outlive(ctx, hurry)
	defer cancel()
	return t.mend(lasting)
}

func usable(runs []*run) bool {
	return slices.ContainsFunc(runs, func(r *run) bool { return r.line.Problem == "" })
}

func disrupts(runs []*run) bool {
	return slices.ContainsFunc(runs, func(r *run) bool { return r.kind.disruptive() })
}

// spoil notes why loads can not be judged.
func spoil(runs []*run, err error) {
	for _, r := range runs {
		r.line.Problem = or(r.line.Problem, sentence(err))
	}
}

func (s *session) begin(ctx context.Context, r *run, bound time.Duration) {
	if r.line.Problem != "" {
		return
	}
	rep, err := ask[probe.RunReport](ctx, r.m, roleCaller, http.MethodPost, "/runs", probe.RunRequest{
		URL: address(r.host, pathOpen), Rate: r.line.Rate, Duration: min(bound, probe.MaxDuration), Timeout: requestTimeout,
	})
	if err != nil {
		r.line.Problem = sentence(err)
		return
	}
	r.id, r.started = rep.ID, time.Now().Add(-rep.Elapsed)
}

// end stops a load and keeps what it saw.
func (s *session) end(ctx context.Context, r *run) {
	if r.id == "" {
		return
	}
	if err := s.fetch(ctx, r, http.MethodDelete); err != nil {
		r.line.Problem = or(r.line.Problem, sentence(err))
	}
}

func (s *session) fetch(ctx context.Context, r *run, method string) error {
	rep, err := ask[probe.RunReport](ctx, r.m, roleCaller, method, "/runs/"+r.id, nil)
	if err != nil {
		return err
	}
	r.line.Report, r.line.Clusters = rep, nil
	for _, o := range rep.Outcomes {
		r.line.Clusters = append(r.line.Clusters, s.answered(o))
	}
	if s.options.Live != nil {
		st := r.line.read(r.pair()).until(rep.Complete)
		s.options.Live(Progress{r.key.From, r.key.To, r.key.Variant, st.local, st.remote, st.lost, st.fault, st.repair})
	}
	return nil
}

// await looks at the loads until all of them satisfy done or time is up, and says whether
// any did.
func (s *session) await(ctx context.Context, runs []*run, deadline time.Duration, done func(*run, story) bool) (some bool) {
	finished := map[*run]bool{}
	// Time that is up is no error: what was seen is judged.
	_ = poll.Until(ctx, poll.Options{What: "steady answers", Interval: 250 * time.Millisecond, Deadline: deadline},
		func(looking context.Context) (bool, string, error) {
			all := true
			for _, r := range runs {
				if r.line.Problem != "" || finished[r] {
					continue
				}
				// A look that failed is made again: the load goes on all the same.
				if err := s.fetch(looking, r, http.MethodGet); err != nil {
					all = false
					continue
				}
				if r.line.Report.Done {
					r.line.Problem = fmt.Sprintf("the load ended after %s, before its end was seen; within and backWithin of spec.verify.failover are too long together", r.line.Report.Elapsed.Round(time.Second))
					continue
				}
				if done(r, r.line.read(r.pair()).until(r.line.Report.Complete)) {
					finished[r] = true
				} else {
					all = false
				}
			}
			return all, "not yet", nil
		})
	return len(finished) > 0
}

// lookOnce looks at each load once more: what it has by now was answered before what comes next. A
// look that fails leaves the one before.
func (s *session) lookOnce(ctx context.Context, runs []*run) {
	looking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, r := range runs {
		if r.line.Problem == "" {
			wg.Go(func() { _ = s.fetch(looking, r, http.MethodGet) })
		}
	}
	wg.Wait()
}

// backend is the fault of backends in the caller's own cluster.
type backend struct {
	m      *member
	runs   []*run
	errors bool
}

func (b backend) fail(ctx context.Context) error {
	if b.errors {
		return b.answer(ctx, faultStatus)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: b.m.namespace, Name: string(roleAway)}}
	if err := b.m.client.Delete(ctx, pod, client.GracePeriodSeconds(0)); err != nil && !kube.Absent(err) {
		return b.m.client.Explain(err, "deleting the backend")
	}
	return nil
}

func (b backend) mend(ctx context.Context) error {
	if b.errors {
		return b.answer(ctx, 0)
	}
	if err := b.m.launch(ctx, roleAway); err != nil {
		return fmt.Errorf("bringing the backend back: %w", err)
	}
	return nil
}

func (b backend) answer(ctx context.Context, status int) error {
	var errs []error
	for _, r := range b.runs {
		if r.line.Problem != "" {
			continue
		}
		_, err := ask[probe.Fault](ctx, b.m, roleEcho, http.MethodPost, "/fault", probe.Fault{Host: r.host, Status: status})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
