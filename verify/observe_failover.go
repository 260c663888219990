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
	// would measure the machine and not the mesh.
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
	started time.Time
	id      string
	line    Line
}

// observeFailover lets backends fail, in two clusters at once and in more after each other: each
// ordered pair and fault has a Service of its own, so none sees the fault of another.
func (s *session) observeFailover(ctx context.Context) {
	began := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[LineKey]Line{}
	room := semaphore.NewWeighted(loadsAtOnce)
	for _, from := range s.world.Clusters {
		for _, errorsFault := range []bool{true, false} {
			runs := s.trials(from, errorsFault)
			wg.Go(func() {
				share := min(int64(len(runs)), loadsAtOnce)
				if room.Acquire(ctx, share) != nil {
					return // the run was ended
				}
				defer room.Release(share)
				s.trial(ctx, s.members[from], runs, errorsFault)
				mu.Lock()
				defer mu.Unlock()
				for _, r := range runs {
					all[r.key] = r.line
				}
			})
		}
	}
	wg.Wait()
	s.record(FactFailover, began, func(w *World) { w.Lines = all })
}

// trials are the loads from one cluster that one fault concerns.
func (s *session) trials(from string, errorsFault bool) []*run {
	var runs []*run
	for _, p := range s.world.pairs() {
		if s.world.shared(p) || s.world.hindered(p.From, p.To) != "" {
			continue // nothing would fail over, or could
		}
		for _, f := range faultKinds() {
			if p.From != from || f.errors() != errorsFault {
				continue
			}
			runs = append(runs, &run{
				key: LineKey{p.From, p.To, f.variant()}, kind: f,
				host: host(s.world.Namespace, serviceFault(s.mesh.Topology, f, p)),
				line: Line{Rate: float64(s.mesh.Topology.Spec.Verify.Failover.Rate), Policy: policyEvidence(f),
					Problem: or(s.members[p.From].why(), s.members[p.To].why())},
			})
		}
	}
	return runs
}

// trial is one fault from beginning to end: steady, fault, steady elsewhere, repair, steady
// again. Each wait is bounded; what was seen by then is judged.
func (s *session) trial(ctx context.Context, m *member, runs []*run, errorsFault bool) {
	set := s.mesh.Topology.Spec.Verify.Failover
	within, back := time.Duration(set.Within), time.Duration(set.BackWithin)
	for _, r := range runs {
		s.begin(ctx, m, r, baselineWithin+2*settleTime+within+back+switchTime)
	}
	if !slices.ContainsFunc(runs, func(r *run) bool { return r.line.Problem == "" }) {
		return
	}
	defer func() {
		for _, r := range runs {
			s.end(ctx, m, r)
		}
	}()
	s.await(ctx, m, runs, baselineWithin, func(p topology.Pair, st story) bool {
		return settled(st.local, st.remote, st.lost, 0, len(st.local)) >= 0
	})
	for _, r := range runs {
		r.line.Fault = time.Since(r.started)
	}
	if err := s.fail(ctx, m, runs, errorsFault); err != nil {
		for _, r := range runs {
			r.line.Problem = or(r.line.Problem, sentence(err))
		}
		return
	}
	left := s.await(ctx, m, runs, within+settleTime, func(_ topology.Pair, st story) bool {
		return settled(st.remote, st.local, st.lost, st.fault, len(st.local)) >= 0
	})
	for _, r := range runs {
		r.line.Repair = time.Since(r.started)
	}
	if err := s.mend(ctx, m, runs, errorsFault); err != nil {
		for _, r := range runs {
			r.line.Problem = or(r.line.Problem, sentence(err))
		}
		return
	}
	if !left {
		back = 0 // nothing went elsewhere, so nothing comes back
	}
	s.await(ctx, m, runs, back+settleTime, func(_ topology.Pair, st story) bool {
		return settled(st.local, st.remote, st.lost, st.repair, len(st.local)) >= 0
	})
}

func (s *session) begin(ctx context.Context, m *member, r *run, bound time.Duration) {
	if r.line.Problem != "" {
		return
	}
	rep, err := ask[probe.RunReport](ctx, m, roleCaller, http.MethodPost, "/runs", probe.RunRequest{
		URL: address(r.host, pathOpen), Rate: r.line.Rate, Duration: min(bound, probe.MaxDuration), Timeout: requestTimeout,
	})
	if err != nil {
		r.line.Problem = sentence(err)
		return
	}
	r.id, r.started = rep.ID, time.Now().Add(-rep.Elapsed)
}

// end stops a load and keeps what it saw.
func (s *session) end(ctx context.Context, m *member, r *run) {
	if r.id == "" {
		return
	}
	if err := s.fetch(ctx, m, r, http.MethodDelete); err != nil {
		r.line.Problem = or(r.line.Problem, sentence(err))
	}
}

func (s *session) fetch(ctx context.Context, m *member, r *run, method string) error {
	rep, err := ask[probe.RunReport](ctx, m, roleCaller, method, "/runs/"+r.id, nil)
	if err != nil {
		return err
	}
	r.line.Report, r.line.Clusters = rep, nil
	for _, o := range rep.Outcomes {
		r.line.Clusters = append(r.line.Clusters, s.answered(o))
	}
	return nil
}

// await looks at the loads until all of them satisfy done or time is up, and says whether
// any did.
func (s *session) await(ctx context.Context, m *member, runs []*run, deadline time.Duration, done func(topology.Pair, story) bool) (some bool) {
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
				if err := s.fetch(looking, m, r, http.MethodGet); err != nil {
					all = false
					continue
				}
				if r.line.Report.Done {
					r.line.Problem = fmt.Sprintf("the load ended after %s, before its end was seen; within and backWithin of spec.verify.failover are too long together", r.line.Report.Elapsed.Round(time.Second))
					continue
				}
				p := topology.Pair{From: r.key.From, To: r.key.To}
				if done(p, r.line.read(p).until(r.line.Report.Complete)) {
					finished[r] = true
				} else {
					all = false
				}
			}
			return all, "not yet", nil
		})
	return len(finished) > 0
}

// fail makes the backends of the caller's own cluster fail.
func (s *session) fail(ctx context.Context, m *member, runs []*run, errorsFault bool) error {
	if errorsFault {
		return s.fault(ctx, m, runs, faultStatus)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: string(roleAway)}}
	if err := m.client.Delete(ctx, pod, client.GracePeriodSeconds(0)); err != nil && !kube.Absent(err) {
		return m.client.Explain(err, "deleting the backend")
	}
	return nil
}

// mend undoes fail. It blocks until the backend is accepted, not until it is ready: that
// time belongs to the way back.
func (s *session) mend(ctx context.Context, m *member, runs []*run, errorsFault bool) error {
	if errorsFault {
		return s.fault(ctx, m, runs, 0)
	}
	if err := m.launch(ctx, roleAway); err != nil {
		return fmt.Errorf("bringing the backend back: %w", err)
	}
	return nil
}

func (s *session) fault(ctx context.Context, m *member, runs []*run, status int) error {
	var errs []error
	for _, r := range runs {
		if r.line.Problem != "" {
			continue
		}
		_, err := ask[probe.Fault](ctx, m, roleEcho, http.MethodPost, "/fault", probe.Fault{Host: r.host, Status: status})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
