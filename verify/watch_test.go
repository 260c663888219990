// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// watching is a watch over a fake mesh; next is the report of the next round.
type watching struct {
	*fakeMesh
	t      *testing.T
	rounds chan *Report
	sent   Traffic
	stop   context.CancelFunc
	ended  chan error
}

func watchMesh(t *testing.T, f *fakeMesh, reopen func(context.Context) (Mesh, error), options ...WatchOptions) *watching {
	t.Helper()
	o := WatchOptions{Interval: 50 * time.Millisecond}
	for _, other := range options {
		o = other
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &watching{fakeMesh: f, t: t, rounds: make(chan *Report), stop: stop, ended: make(chan error, 1)}
	o.Namespace, o.Round = testNamespace, func(r *Report, sent Traffic) {
		w.mu.Lock()
		w.sent = sent
		w.mu.Unlock()
		select {
		case w.rounds <- r:
		case <-ctx.Done():
		}
	}
	go func() { w.ended <- Watch(ctx, f.mesh, reopen, o) }()
	t.Cleanup(func() {
		stop()
		<-w.ended
	})
	return w
}

func (w *watching) next() *Report {
	w.t.Helper()
	select {
	case r := <-w.rounds:
		return r
	case err := <-w.ended:
		w.ended <- err
		w.t.Fatalf("the watch ended: %v", err)
	case <-time.After(time.Minute):
		w.t.Fatal("no round in a minute")
	}
	return nil
}

// after is the report of the first round that began now or later.
func (w *watching) after() *Report {
	w.t.Helper()
	w.next() // it may have begun before
	return w.next()
}

// removed ends the watch and looks whether anything stayed.
func (w *watching) removed() {
	w.t.Helper()
	w.stop()
	err := <-w.ended
	w.ended <- err
	if err != nil {
		w.t.Errorf("it ended with %v", err)
	}
	for name, k := range w.fakes {
		if exists(w.t, k) {
			w.t.Errorf("the namespace stayed in %s", name)
		}
	}
}

func TestAWatchSeesWhatBreaksAndWhatIsMended(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	w := watchMesh(t, f, nil)
	r := w.next()
	for _, c := range r.Checks {
		if c.Status != Pass {
			t.Errorf("%s: %s", c.Status, c.Line())
		}
	}
	if len(r.Checks) < 30 || strings.Join(r.Suites, " ") != "trust discovery" {
		t.Fatalf("%d checks of %v", len(r.Checks), r.Suites)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istio-remote-secret-east",
		Labels: map[string]string{topology.LabelMultiCluster: "true"}}, Data: map[string][]byte{"east": nil}}
	remove(t, f.fakes["west"], secret.DeepCopy())
	broken := w.after()
	if !failures(broken)["discovery FED001"] {
		t.Errorf("failures %v without the remote secret", failures(broken))
	}
	changes, err := Compare(r, broken, DefaultRegression())
	if err != nil || changes.Regressions == 0 {
		t.Errorf("%v: %d regressions", err, changes.Regressions)
	}
	if err := f.fakes["west"].Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if r := w.after(); r.ExitCode() != ExitPass {
		t.Errorf("mended, and exit code %d: %v", r.ExitCode(), failures(r))
	}
	w.removed()
	if n := w.sent.Requests["west"]; n == 0 || w.sent.Handshakes["west"] == 0 {
		t.Errorf("nothing was counted: %+v", w.sent)
	}
	// The bound: nothing but steady loads, of one request a second at most.
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rates) == 0 {
		t.Error("no load was asked for")
	}
	for _, q := range f.rates {
		if q.Rate > 1 || q.Count > 0 || q.Duration > 21*time.Second {
			t.Errorf("a load of %+v", q)
		}
	}
}

func TestAWatchOutlivesAClusterThatGoesAway(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	w := watchMesh(t, f, func(context.Context) (Mesh, error) { return f.mesh, nil })
	if r := w.next(); r.ExitCode() != ExitPass {
		t.Fatalf("exit code %d: %v", r.ExitCode(), failures(r))
	}
	var before corev1.PodList
	if err := f.fakes["east"].List(t.Context(), &before, client.InNamespace(testNamespace)); err != nil {
		t.Fatal(err)
	}
	f.fakes["east"].Fail("", "", "", errors.New("dial tcp 10.0.0.2:6443: connection refused"), 0)
	r := w.after()
	if status, _ := r.Tally().Cell(SuiteDiscovery, "west", "east"); status != Inconclusive {
		t.Errorf("west to east is %s while east is away", status)
	}
	told := false
	for _, c := range r.Checks {
		told = told || c.Status == Inconclusive && strings.Contains(c.Message, "connection refused")
	}
	if !told {
		t.Error("nothing says why")
	}
	f.fakes["east"].Heal()
	if r := w.after(); r.ExitCode() != ExitPass {
		t.Errorf("east is back, and exit code %d", r.ExitCode())
	}
	var now corev1.PodList
	if err := f.fakes["east"].List(t.Context(), &now, client.InNamespace(testNamespace)); err != nil || len(now.Items) != len(before.Items) {
		t.Errorf("%d probes, %d before: %v", len(now.Items), len(before.Items), err)
	}
	w.removed()
}

// TestAWatchMakesItsProbesAgain: somebody deletes one pod, or the whole namespace.
func TestAWatchMakesItsProbesAgain(t *testing.T) {
	t.Parallel()
	for name, obj := range map[string]client.Object{
		"a pod":         &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: string(roleEcho)}},
		"the namespace": &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMesh(t)
			w := watchMesh(t, f, nil)
			w.next()
			remove(t, f.fakes["east"], obj)
			if r := w.after(); r.ExitCode() != ExitPass {
				for _, c := range r.Checks {
					if c.Status != Pass {
						t.Errorf("%s: %s", c.Status, c.Line())
					}
				}
			}
			if !exists(t, f.fakes["east"]) {
				t.Error("the namespace was not made again")
			}
			w.removed()
		})
	}
}

// TestAWatchTakesOtherCredentials: a cluster that was made again is reached by a client of its own.
func TestAWatchTakesOtherCredentials(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	whole := f.mesh
	f.mesh.Clients = map[string]*kube.Client{"west": whole.Clients["west"]}
	w := watchMesh(t, f, func(context.Context) (Mesh, error) { return whole, nil })
	if r := w.next(); r.Summary[Inconclusive] == 0 {
		t.Fatalf("east has no client, and %v", r.Summary)
	}
	if r := w.after(); r.ExitCode() != ExitPass {
		t.Errorf("exit code %d: %v", r.ExitCode(), r.Summary)
	}
	w.removed()
}

func TestWhatIsNotWatched(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	if err := Watch(t.Context(), m, nil, WatchOptions{Suites: []string{SuiteFailover}}); err == nil || !strings.Contains(err.Error(), "puts load or faults") {
		t.Errorf("error %v", err)
	}
	m.Topology.Spec.Verify.Probe.Namespace = strings.Repeat("n", 60)
	if err := Watch(t.Context(), m, nil, WatchOptions{}); err == nil || !strings.Contains(err.Error(), "longer than 63") {
		t.Errorf("error %v", err)
	}
}
