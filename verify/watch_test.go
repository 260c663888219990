// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
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

// TestAWatchLivesInANamespaceThatItWasNotToldOf: a creation whose answer got lost is one all the same.
func TestAWatchLivesInANamespaceThatItWasNotToldOf(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	f.fakes["east"].Unheard("Namespace", errors.New("unexpected EOF"))
	w := watchMesh(t, f, nil)
	w.next()
	alive := func() string {
		ns := &corev1.Namespace{}
		if err := f.fakes["east"].Get(t.Context(), client.ObjectKey{Name: testNamespace}, ns); err != nil {
			t.Fatal(err)
		}
		return ns.Annotations[annotationAlive]
	}
	for began, first := time.Now(), alive(); alive() == first; w.next() {
		if time.Since(began) > 4*heartbeat {
			t.Fatal("nothing shows that the watch lives: the next verify would take it for a dead one")
		}
	}
	w.removed()
}

// TestAWatchReplacesAPodThatHasEnded: a node may evict one, which then stays as it is for ever.
func TestAWatchReplacesAPodThatHasEnded(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	w := watchMesh(t, f, nil)
	w.next()
	evicted := &corev1.Pod{}
	if err := f.fakes["east"].Get(t.Context(), client.ObjectKey{Namespace: testNamespace, Name: string(roleEcho)}, evicted); err != nil {
		t.Fatal(err)
	}
	evicted.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", PodIP: evicted.Status.PodIP}
	if err := f.fakes["east"].Status().Update(t.Context(), evicted); err != nil {
		t.Fatal(err)
	}
	if r := w.after(); r.ExitCode() != ExitPass {
		t.Errorf("exit code %d, %v", r.ExitCode(), r.Unseen())
	}
	w.removed()
}

// TestAWatchKeepsOnlyForwardsThatItUses: which proxies are asked changes as pods come and go.
func TestAWatchKeepsOnlyForwardsThatItUses(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Forwards(t, map[string]http.Handler{"n/a:15000": text("{}"), "n/b:15000": text("{}")})
	one := member1(t, m)
	ask := func(pods ...string) {
		for _, pod := range pods {
			if _, err := one.page(t.Context(), "n", pod, 15000, "/clusters"); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask("a", "b")
	one.prune()
	if got := sortedKeys(one.forwards); len(got) != 2 {
		t.Errorf("open are %q after a round that used both", got)
	}
	ask("b")
	one.prune()
	if got := sortedKeys(one.forwards); !slices.Equal(got, []string{"n/b:15000"}) {
		t.Errorf("open are %q", got)
	}
}

// TestWhatIsRefusedAgainIsSaidOnce: a watch that can not start its probes tries in each round.
func TestWhatIsRefusedAgainIsSaidOnce(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Fail("apply", "NetworkPolicy", "", errors.New("denied by policy"), 0)
	fakes["west"].Fail("create", "Pod", "", forbidden(), 0)
	one := member1(t, m, SuiteTrust)
	for range 2 {
		if err := one.start(t.Context()); err == nil {
			t.Fatal("it starts without pods")
		}
	}
	if got := one.refusals(); len(got) != 1 || !strings.Contains(got[0], "denied by policy") {
		t.Errorf("%d refusals: %q", len(got), got)
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
	w.mu.Lock()
	if n := w.sent.Handshakes; n["east"] != 0 || n["west"] != 1 {
		t.Errorf("east has no client, and %v handshakes were made", n)
	}
	w.mu.Unlock()
	if r := w.after(); r.ExitCode() != ExitPass {
		t.Errorf("exit code %d: %v", r.ExitCode(), r.Summary)
	}
	w.removed()
}

// TestARenewedClientIsTheOnlyOne: by it the objects of a cluster are read that hold for another one,
// and what was sent before stays counted.
func TestARenewedClientIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	connect := func(requests int) *kube.Client {
		c, err := kube.ForConfig("west", &rest.Config{Host: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		for range requests {
			_ = c.Reachable(t.Context())
		}
		return c
	}
	m, _ := twoClusters(t)
	m.Topology.Spec.Clusters[1].Primary, m.Topology.Spec.Clusters[1].Config = "west", "west"
	before, after := connect(5), connect(2)
	m.Clients["west"], m.Clients["east"] = before, nil
	s := newSession(m, Options{}, m.Topology.Names(), WatchSuites(), time.Now())
	_ = before.Reachable(t.Context())
	s.members["west"].renewed(after)
	_ = after.Reachable(t.Context())
	if got := s.requests().API["west"]; got != 2 {
		t.Errorf("%d requests are counted, want 2", got)
	}
	if s.members["east"].config() != after {
		t.Error("what holds for east is read by the client of before")
	}
	s.members["east"].renewed(connect(1))
	if got, ok := s.requests().API["east"]; !ok || got != 0 {
		t.Errorf("%d requests are counted of a cluster that came late", got)
	}
}

// TestAnExternalControlPlaneIsFoundAgain: it has no probes by which its going away is noticed.
func TestAnExternalControlPlaneIsFoundAgain(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	for i := range m.Topology.Spec.Clusters {
		m.Topology.Spec.Clusters[i].Primary, m.Topology.Spec.Clusters[i].Config = "ext", "west"
	}
	m.Topology.Spec.Clusters = append(m.Topology.Spec.Clusters, topology.Cluster{Name: "ext", Primary: "ext", Config: "west"})
	gone, anew := kubetest.New(t, "ext"), kubetest.New(t, "ext")
	gone.Fail("", "", "", errors.New("connection refused"), 0)
	m.Clients["ext"] = gone.Client
	w := &watch{session: newSession(m, Options{}, m.Topology.Members(), WatchSuites(), time.Now()), reopen: func(context.Context) (Mesh, error) {
		return Mesh{Clients: map[string]*kube.Client{"ext": anew.Client}}, nil
	}}
	ext := w.members["ext"]
	if w.notice(t.Context()); !strings.Contains(ext.blind(), "connection refused") {
		t.Errorf("it is away, and %q", ext.blind())
	}
	w.renewClients(t.Context())
	if w.notice(t.Context()); ext.client != anew.Client || ext.blind() != "" {
		t.Errorf("it is back, and %q", ext.blind())
	}
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
