// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// pretender stands in for the probes of a mesh whose failover works or does not: it serves
// the admin interface and invents the time line that the fault would have.
type pretender struct {
	works bool
	// stray answers come from the other cluster before the fault.
	stray bool

	mu      sync.Mutex
	started time.Time
	faulty  []time.Duration // when the fault was switched, on and off in turn
	looks   int
	hosts   map[string]bool
}

func (p *pretender) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer any
	switch {
	case r.URL.Path == "/fault":
		var f probe.Fault
		_ = json.NewDecoder(r.Body).Decode(&f)
		p.hosts[f.Host] = f.Status != 0
		if on := len(p.faulty)%2 == 1; on != (f.Status != 0) {
			p.faulty = append(p.faulty, time.Since(p.started))
		}
		answer = f
	case r.Method == http.MethodPost && r.URL.Path == "/runs":
		if p.started.IsZero() {
			p.started = time.Now()
		}
		answer = probe.RunReport{ID: "1", Started: p.started, Elapsed: time.Since(p.started)}
	case strings.HasPrefix(r.URL.Path, "/runs/"):
		if p.looks++; r.Method == http.MethodGet && p.looks%3 == 0 {
			http.Error(w, "a loaded machine", http.StatusServiceUnavailable)
			return
		}
		answer = p.report()
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// report has one request in each bucket: local, and under a fault lost for two buckets and
// remote after that, or lost for good.
func (p *pretender) report() probe.RunReport {
	now := time.Since(p.started)
	rep := probe.RunReport{Elapsed: now, Complete: now, Outcomes: []probe.Outcome{
		{UID: "west", Pod: "echo", Status: 200}, {UID: "east", Pod: "echo", Status: 200}, {UID: "west", Pod: "echo", Status: 500}}}
	for at := time.Duration(0); at < now; at += probe.BucketWidth {
		switches := 0
		var last time.Duration
		for _, f := range p.faulty {
			if f <= at {
				switches, last = switches+1, f
			}
		}
		outcome := 0
		if p.stray && at < 2*probe.BucketWidth {
			outcome = 1
		}
		if switches%2 == 1 {
			outcome = 2
			if p.works && at-last > 2*probe.BucketWidth {
				outcome = 1
			}
		}
		rep.Timeline = append(rep.Timeline, probe.Bucket{At: at, Counts: map[int]int{outcome: 1}})
		rep.Outcomes[outcome].Count++
		rep.Sent++
	}
	return rep
}

func pretend(t *testing.T, p *pretender) *World {
	t.Helper()
	m, fakes := twoClusters(t)
	m.Topology.Spec.Verify.Failover.Within = m.Topology.Spec.Verify.Failover.Within / 2
	p.hosts = map[string]bool{}
	s := newSession(m, Options{}, m.Topology.Names(), []string{SuiteFailover}, time.Now())
	for name, f := range fakes {
		probes(t, s.members[name], f, name, p)
	}
	runs := s.trials(func(p topology.Pair, f faultKind) bool { return p.From == "west" && f.errors() })
	s.trial(t.Context(), runs, backend{s.members["west"], runs, true}, nil)
	w, _ := healthy(t)
	w.Topology = m.Topology
	for _, r := range runs {
		w.Lines[r.key] = r.line
	}
	return w
}

func probes(t *testing.T, m *member, f *kubetest.Cluster, uid string, h http.Handler) {
	t.Helper()
	handlers := map[string]http.Handler{}
	for _, r := range []role{roleEcho, roleCaller} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: string(r), Labels: map[string]string{labelRole: string(r)}}}
		m.know(pod)
		handlers[testNamespace+"/"+string(r)+":8090"] = h
	}
	m.uids[uid] = true // the API's word on who answers
	f.Forwards(t, handlers)
	m.client = f.Client
	t.Cleanup(func() { m.forget("", "") })
}

func TestATrialGoesThereAndBack(t *testing.T) {
	t.Parallel()
	p := &pretender{works: true}
	w := pretend(t, p)
	for _, id := range []string{"failover-switch", "failover-lost", "failover-back"} {
		for _, variant := range []string{"errors", "errors, default retries"} {
			if r := find(t, w, id, "west", "east", variant); r.Status != Pass {
				t.Errorf("%s: %s", r.Status, r.Line())
			}
		}
	}
	for host, on := range p.hosts {
		if on {
			t.Errorf("the fault of %s is still on", host)
		}
	}
	if len(p.hosts) != 2 {
		t.Errorf("faults were set for %v, want one host for each row", p.hosts)
	}
}

func TestATrialSeesAnswersFromElsewhereBeforeTheFault(t *testing.T) {
	t.Parallel()
	w := pretend(t, &pretender{works: true, stray: true})
	if r := find(t, w, "failover-switch", "west", "east", "errors"); r.Status != Fail || r.Code != "LOC004" {
		t.Errorf("%s: %s", r.Status, r.Line())
	}
}

func TestATrialThatDoesNotFailOverEndsInTime(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	w := pretend(t, &pretender{})
	if r := find(t, w, "failover-switch", "west", "east", "errors"); r.Status != Fail || r.Code != "LOC005" {
		t.Errorf("%s: %s", r.Status, r.Line())
	}
	if r := find(t, w, "failover-back", "west", "east", "errors"); r.Status != Inconclusive {
		t.Errorf("%s: %s", r.Status, r.Line())
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A load of its own that is steady waits with its fault for the others, which come back meanwhile.
func TestATrialWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	p := &pretender{works: true, hosts: map[string]bool{}}
	s := newSession(m, Options{}, m.Topology.Names(), []string{SuiteFailover}, time.Now())
	for name, f := range fakes {
		probes(t, s.members[name], f, name, p)
	}
	runs := s.trials(func(p topology.Pair, f faultKind) bool { return p.From == "west" && f.errors() })
	turns, mended := 0, 0
	var before, begun time.Duration
	turn := func() {
		turns++
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.started.IsZero() || len(p.faulty) > 0 {
			t.Errorf("at its turn the load had begun: %v, faults were made: %v", !p.started.IsZero(), p.faulty)
		}
		before, begun = time.Since(p.started), time.Since(runs[0].started)
	}
	s.trial(t.Context(), runs, told{backend{s.members["west"], runs, true}, func() { mended++ }}, turn)
	if turns != 1 || mended != 1 {
		t.Errorf("%d turns, told of %d repairs", turns, mended)
	}
	if len(p.faulty) == 0 || p.faulty[0] < before {
		t.Errorf("faults were made %s after the beginning, the turn came at %s", p.faulty, before)
	}
	if runs[0].line.Fault < begun {
		t.Errorf("the fault is told to be at %s, the turn came at %s", runs[0].line.Fault, begun)
	}
}
