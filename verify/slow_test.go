// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func TestTheLastWholeLookIsKept(t *testing.T) {
	t.Parallel()
	looks := 0
	look := func(ctx context.Context) string {
		if looks++; looks == 1 {
			return "seen"
		}
		<-ctx.Done()
		return "cut off"
	}
	o := poll.Options{What: "it", Interval: time.Millisecond, Deadline: 50 * time.Millisecond}
	if got := lastWhole(t.Context(), o, lookWithin, look, func(string) bool { return false }); got != "seen" || looks != 2 {
		t.Errorf("got %q after %d looks", got, looks)
	}
	slow := func(ctx context.Context) error {
		select {
		case <-time.After(4 * o.Deadline):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := lastWhole(t.Context(), o, lookWithin, slow, func(error) bool { return true }); err != nil {
		t.Errorf("the first look was cut off: %v", err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := lastWhole(over, o, lookWithin, slow, func(error) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("that it was over before it began is not said: %v", err)
	}
}

func TestABrokenForwardIsOpenedAgainAtOnce(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Forwards(t, map[string]http.Handler{"n/p:15000": text("{}")})
	one := member1(t, m)
	for range 3 {
		if _, err := one.page(t.Context(), "n", "p", 15000, "/clusters"); err != nil {
			t.Fatal(err)
		}
		one.forwards["n/p:15000"].open.Close()
	}
}

// TestWhoHasTimeDialsAgain: several ask for one port-forward at once, and the first of them opens it.
func TestWhoHasTimeDialsAgain(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Forwards(t, map[string]http.Handler{"n/p:15000": text("{}")})
	one := member1(t, m)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	first := one.slot("n/p:15000")
	first.once.Do(func() { first.err = first.dial(over, one.client, "n", "p", 15000) })
	if first.err == nil {
		t.Fatal("a dial outlasts its caller")
	}
	if _, err := one.port(t.Context(), "n", "p", 15000); err != nil {
		t.Error(err)
	}
	if _, err := one.port(over, "n", "q", 15000); err == nil {
		t.Error("who has no time dials")
	}
}

// TestAForwardThatIsLateSaysSo: which deadline it was, and what was waited for.
func TestAForwardThatIsLateSaysSo(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	t.Cleanup(api.Close)
	t.Cleanup(func() { close(held) })
	m, _ := twoClusters(t)
	one := member1(t, m)
	var err error
	if one.client, err = kube.ForConfig("west", &rest.Config{Host: api.URL}); err != nil {
		t.Fatal(err)
	}
	one.answering = 50 * time.Millisecond
	_, err = one.page(t.Context(), "n", "p", 15000, "/clusters")
	if err == nil || !strings.Contains(err.Error(), "forwarding to port 15000 of pod n/p: no answer of pod n/p within 50ms") || strings.Contains(err.Error(), "canceled") {
		t.Errorf("%v", err)
	}
	_ = poll.Until(t.Context(), poll.Options{What: "the clusters", Deadline: 20 * time.Millisecond}, func(ctx context.Context) (bool, string, error) {
		_, err = one.page(ctx, "n", "q", 15000, "/clusters")
		return true, "", nil
	})
	if err == nil || !strings.Contains(err.Error(), "waiting for the clusters: not within 20ms") {
		t.Errorf("%v", err)
	}
}

func TestAPodWhoseCreationGotNoAnswerIsKnown(t *testing.T) {
	t.Parallel()
	there := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: string(roleEcho), UID: "u1", Labels: map[string]string{labelRole: string(roleEcho)}}}
	m, _ := twoClusters(t, there)
	one := member1(t, m, SuiteTrust)
	if err := one.launch(t.Context(), roleEcho); err != nil {
		t.Fatal(err)
	}
	if pod := one.pod(roleEcho); pod == nil || pod.UID != "u1" {
		t.Errorf("known is %v", pod)
	}
}

func TestCertificatesAreJudgedByWhenTheyWereSeen(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	s := newSession(m, Options{}, m.Topology.Names(), []string{SuiteTrust}, time.Now().Add(-time.Hour))
	s.record(FactNodes, time.Now(), func(*World) {})
	if age := time.Since(s.world.Now); age > time.Minute {
		t.Errorf("now is %s ago", age)
	}
}

func TestAnInterruptDoesNotWaitForTheNamespaceToBeGone(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	ctx, cancel := context.WithCancel(t.Context())
	var interrupted time.Time
	go func() {
		defer func() {
			interrupted = time.Now()
			cancel()
		}()
		held := map[string]bool{}
		for ; len(held) < len(fakes) && t.Context().Err() == nil; time.Sleep(10 * time.Millisecond) {
			for name, f := range fakes {
				ns := &corev1.Namespace{}
				if held[name] || f.Get(t.Context(), types.NamespacedName{Name: testNamespace}, ns) != nil {
					continue
				}
				ns.Finalizers = []string{"example.com/slow"}
				if f.Update(t.Context(), ns) == nil {
					held[name] = true
				}
			}
		}
	}()
	if _, err := Run(ctx, m, Options{Suites: []string{SuiteWeights}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if took := time.Since(interrupted); took > 8*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	for name, f := range fakes {
		ns := &corev1.Namespace{}
		if err := f.Get(context.Background(), types.NamespacedName{Name: testNamespace}, ns); kube.Absent(err) || ns.DeletionTimestamp == nil {
			t.Errorf("the removal in %s was not asked for (%v)", name, err)
		}
	}
}

func TestAPeerThatIsNotSyncedIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	remote := &corev1.Secret{ObjectMeta: system("istio-remote-secret-east"), Data: map[string][]byte{"east": nil}}
	remote.Labels = map[string]string{topology.LabelMultiCluster: "true"}
	m, fakes := twoClusters(t, remote, running("istiod-1", map[string]string{"app": "istiod"}))
	var looks atomic.Int64
	page := func(w http.ResponseWriter, _ *http.Request) {
		state := "syncing"
		if looks.Add(1) > 1 {
			state = "synced"
		}
		_, _ = fmt.Fprintf(w, `[{"id":"east","syncStatus":%q}]`, state)
	}
	for _, f := range fakes {
		f.Forwards(t, map[string]http.Handler{"istio-system/istiod-1:15014": http.HandlerFunc(page)})
	}
	s := newSession(m, Options{}, []string{"west"}, []string{SuiteDiscovery}, time.Now())
	s.world.Clusters = m.Topology.Names() // east is a peer, and not looked at
	s.members["east"] = newMember(s, "east", nil)
	defer s.members["west"].forget("", "")
	s.observeControls(t.Context())
	if got := s.world.Controls["west"].Replicas[0].Peers["east"]; got != synced || looks.Load() != 2 {
		t.Errorf("%q after %d looks", got, looks.Load())
	}
}

func TestADenialThatSaidNothingIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcomes []probe.Outcome
		want     bool
	}{
		"denied":       {[]probe.Outcome{{Status: 403}, {Error: probe.ErrReset}}, true},
		"let in":       {[]probe.Outcome{{Status: 200}, {Error: probe.ErrTimeout}}, true},
		"one was lost": {[]probe.Outcome{{Status: 403}, {Error: probe.ErrTimeout}}, false},
	} {
		c := Call{Outcomes: tc.outcomes}
		if c.told() != tc.want {
			t.Errorf("%s: told %v", name, !tc.want)
		}
	}
}

func TestALoadThatEndsBeforeItsTrialIsInconclusive(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	s := newSession(m, Options{}, m.Topology.Names(), []string{SuiteFailover}, time.Now())
	over := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rep := probe.RunReport{ID: "1", Done: r.Method != http.MethodPost, Elapsed: 3 * time.Minute}
		if strings.HasPrefix(r.URL.Path, "/fault") {
			t.Error("a fault was switched on that nobody sees")
		}
		_ = json.NewEncoder(w).Encode(rep)
	})
	for name, f := range fakes {
		probes(t, s.members[name], f, name, over)
	}
	runs := s.trials(func(p topology.Pair, f faultKind) bool { return p.From == "west" && f.errors() })
	s.trial(t.Context(), runs, backend{s.members["west"], runs, true}, nil)
	for _, r := range runs {
		if !strings.Contains(r.line.Problem, "backWithin") {
			t.Errorf("problem %q", r.line.Problem)
		}
	}
}

// TestALoadThatLostSomethingIsSentAgain, once: a moment in which the machine is slow is no fault, and
// what is broken shows again.
func TestALoadThatLostSomethingIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		losing int64 // so many loads to the local service lose something
		sent   int64
		want   Status
	}{"none": {0, 1, Pass}, "for a moment": {1, 2, Pass}, "always": {9, 2, Inconclusive}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			var sent atomic.Int64
			f.alter = func(c string, r role, q probe.RunRequest, healthy []probe.Outcome) []probe.Outcome {
				if c != "west" || r != roleCaller || !strings.Contains(q.URL, "//"+serviceLocal+".") || sent.Add(1) > test.losing {
					return healthy
				}
				healthy[0].Count -= 4
				return append(healthy, probe.Outcome{Status: http.StatusServiceUnavailable, Count: 4})
			}
			r, err := Run(t.Context(), f.mesh, Options{Suites: []string{SuiteLocality}})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range r.Checks {
				if c.ID != "locality-answers" || c.From != "west" {
					continue
				}
				if before, said := c.Evidence["lostBefore"]; c.Status != test.want || said != (test.losing > 0) || said && before != 4 {
					t.Errorf("%s: %s, lost before: %v", c.Status, c.Message, before)
				}
			}
			if sent.Load() != test.sent {
				t.Errorf("the load was sent %d times, want %d", sent.Load(), test.sent)
			}
		})
	}
}
