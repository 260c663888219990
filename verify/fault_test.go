// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// gatewayDeployment is the east-west gateway as the chart makes it.
func gatewayDeployment(replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: system(topology.EastWestGateway)}
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "1"}
	d.Spec.Replicas = &replicas
	d.Spec.Template.Labels = map[string]string{"istio": topology.EastWestSelector}
	return d
}

// wiring notes what is cut and mended.
type wiring struct {
	// unable is why nothing can be cut, of one cluster alone when that is named.
	unable, alone string
	err           error

	mu    sync.Mutex
	calls []string
}

func (n *wiring) Unable(cluster string) string {
	if n.alone != "" && cluster != n.alone {
		return ""
	}
	return n.unable
}

func (n *wiring) Cut(_ context.Context, cluster string, others []string, lasts time.Duration) error {
	n.note(fmt.Sprintf("cut %s from %s for %s", cluster, strings.Join(others, " "), lasts.Round(time.Minute)))
	return n.err
}

func (n *wiring) Mend(_ context.Context, cluster string) error {
	n.note("mend " + cluster)
	return n.err
}

func (n *wiring) note(call string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, call)
}

// broken is a cluster and the fault that is about to be made in it.
func broken(t *testing.T, kind string, network Network, objs ...client.Object) (*disruption, *kubetest.Cluster) {
	t.Helper()
	m, fakes := twoClusters(t)
	east := kubetest.New(t, "east", append(objs, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "east-1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "east-2"}})...)
	fakes["east"], m.Clients["east"], m.Network = east, east.Client, network
	s := newSession(m, Options{Disruptive: true}, m.Topology.Names(), []string{SuiteFailover}, time.Now())
	return &disruption{session: s, kind: kind, m: s.members["east"], others: []string{"west"}}, east
}

// asItWas fails unless the gateway has its replicas and nothing of ours, and no node an entry.
func asItWas(t *testing.T, c *kubetest.Cluster, want int32) {
	t.Helper()
	left, err := Faults(t.Context(), c.Client)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the journal: %v, %v", left, err)
	}
	d := &appsv1.Deployment{ObjectMeta: system(topology.EastWestGateway)}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
		t.Fatal(err)
	}
	if *d.Spec.Replicas != want || len(d.Annotations) != 1 {
		t.Errorf("%d replicas and annotations %v, want %d and the one of before", *d.Spec.Replicas, d.Annotations, want)
	}
}

// TestAKillAtAnyMomentIsRestored ends a run with a fault after each of its writes, as SIGKILL
// does: nothing of it runs any more. Another process, which knows the clusters alone, restores.
func TestAKillAtAnyMomentIsRestored(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	for name, tc := range map[string]struct {
		kind string
		// while the fault is made, and while it is taken back: nil when it does not come to that.
		making, mending func(*wiring, *kubetest.Cluster)
		left            bool
	}{
		"gateway, before the object is written": {FaultGateway, func(_ *wiring, c *kubetest.Cluster) { c.Fail("patch", "", "", killed, 0) }, nil, false},
		"gateway, before its pods are deleted":  {FaultGateway, func(_ *wiring, c *kubetest.Cluster) { c.Fail("list", "PodList", "", killed, 0) }, nil, true},
		"gateway, under the fault":              {FaultGateway, func(*wiring, *kubetest.Cluster) {}, nil, true},
		"gateway, while it is restored": {FaultGateway, func(*wiring, *kubetest.Cluster) {},
			func(_ *wiring, c *kubetest.Cluster) { c.Fail("patch", "", "", killed, 0) }, true},
		"network, before the second node is written": {FaultNetwork, func(_ *wiring, c *kubetest.Cluster) { c.Fail("patch", "Node", "east-2", killed, 0) }, nil, true},
		"network, before the cut":                    {FaultNetwork, func(n *wiring, _ *kubetest.Cluster) { n.err = killed }, nil, true},
		"network, under the fault":                   {FaultNetwork, func(*wiring, *kubetest.Cluster) {}, nil, true},
		"network, before it is mended":               {FaultNetwork, func(*wiring, *kubetest.Cluster) {}, func(n *wiring, _ *kubetest.Cluster) { n.err = killed }, true},
		"network, mended, before the second node is restored": {FaultNetwork, func(*wiring, *kubetest.Cluster) {},
			func(_ *wiring, c *kubetest.Cluster) { c.Fail("patch", "Node", "east-2", killed, 0) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wires := &wiring{}
			d, east := broken(t, tc.kind, wires, gatewayDeployment(3))
			kept := 0
			d.options.Journal = func(f Fault) error {
				if f.Until.IsZero() || f.By == "" || f.Kind == FaultGateway && f.Replicas != 3 {
					t.Errorf("the run folder is told %+v", f)
				}
				kept++
				return nil
			}
			tc.making(wires, east)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // tries are repeated
			defer cancel()
			_ = d.fail(ctx)
			if tc.mending != nil {
				tc.mending(wires, east)
				_ = d.mend(ctx)
			}
			if kept == 0 {
				t.Error("the run folder was told nothing")
			}
			east.Heal()
			other := &wiring{}
			restored, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client, "west": nil}, other, nil)
			if err != nil {
				t.Fatal(err)
			}
			asItWas(t, east, 3)
			if (len(restored) > 0) != tc.left || slices.Contains(other.calls, "mend east") != (tc.kind == FaultNetwork) {
				t.Errorf("restored %v with %q", restored, other.calls)
			}
			if again, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, other, nil); len(again) > 0 || err != nil {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}

// TestTheFaultIsOnItsObject: what stands there is enough for somebody with kubectl alone.
func TestTheFaultIsOnItsObject(t *testing.T) {
	t.Parallel()
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(2))
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateway := gatewayDeployment(0)
	if err := east.Get(t.Context(), client.ObjectKeyFromObject(gateway), gateway); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{`"kind":"gateway"`, `"replicas":2`, `"until":"20`, `"by":"process `} {
		if *gateway.Spec.Replicas != 0 || !strings.Contains(gateway.Annotations[AnnotationFault], words) {
			t.Errorf("%q is missing in %s (%d replicas)", words, gateway.Annotations[AnnotationFault], *gateway.Spec.Replicas)
		}
	}
	found, err := Faults(t.Context(), east.Client)
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Told(), "Deployment istio-system/istio-eastwestgateway of east is scaled to 0, it had 2 replicas (verify --disruptive, process ") {
		t.Errorf("%v, %v", found, err)
	}
	if err := d.mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	asItWas(t, east, 2)
	if len(d.seen) != 1 || d.seen[0].Problem != "" || d.seen[0].Replaced != "" {
		t.Errorf("seen: %+v", d.seen)
	}
}

func TestTwoThatRestoreDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(2))
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, nil, nil)
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	asItWas(t, east, 2)
}

// TestAFaultOfARunThatLivesIsLeftAlone, before its deadline; after it, nobody needs it.
func TestAFaultOfARunThatLivesIsLeftAlone(t *testing.T) {
	t.Parallel()
	alive := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace, Annotations: map[string]string{annotationBy: "process 7 on elsewhere", annotationAlive: "x"}}}
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(1), alive)
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.m.claimed = true
	beating, stop := context.WithCancel(t.Context())
	go d.m.beat(beating)
	_, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, nil, nil)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "process 7 on elsewhere") {
		t.Errorf("error %v", err)
	}
	if left, _ := Faults(t.Context(), east.Client); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	stop()
	found, err := Faults(t.Context(), east.Client)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	dated(t, east, "2001")
	begun := time.Now()
	if _, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, nil, nil); err != nil || time.Since(begun) > deadAfter/2 {
		t.Errorf("after the deadline: %v, after %s", err, time.Since(begun))
	}
	asItWas(t, east, 1)
}

// dated moves the deadlines in the journal of a cluster to another year.
func dated(t *testing.T, c *kubetest.Cluster, year string) {
	t.Helper()
	found, err := Faults(t.Context(), c.Client)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		obj, err := f.target()
		if err == nil {
			err = c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)
		}
		if err != nil {
			t.Fatal(err)
		}
		from := obj.GetAnnotations()[AnnotationFault]
		at := strings.Index(from, `"until":"`) + len(`"until":"`)
		annotate(obj, from[:at]+year+from[at+4:])
		if err := c.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARestoreThatIsRefusedIsReported(t *testing.T) {
	t.Parallel()
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(2))
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	east.Fail("patch", "Deployment", "", apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "istio-eastwestgateway", errors.New("policy says no")), 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := d.mend(ctx); err == nil || !strings.Contains(d.seen[0].Problem, "policy says no") {
		t.Errorf("mending: %v, seen %+v", err, d.seen)
	}
	_, err := Restore(ctx, map[string]*kube.Client{"east": east.Client}, nil, nil)
	if err == nil || !strings.Contains(strings.Join(diag.Hints(err), " "), "kubectl -n istio-system scale deployment istio-eastwestgateway --replicas 2") {
		t.Errorf("%v, hints %q", err, diag.Hints(err))
	}
}

// TestAFaultOfAnotherRunStays: one with another namespace for its probes may be at work.
func TestAFaultOfAnotherRunStays(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{FaultGateway, FaultNetwork} {
		wires := &wiring{}
		d, east := broken(t, kind, wires, gatewayDeployment(2))
		theirs := *d
		if err := theirs.fail(t.Context()); err != nil {
			t.Fatal(err)
		}
		dated(t, east, "2101")
		before, err := Faults(t.Context(), east.Client)
		if err != nil || len(before) == 0 {
			t.Fatal(before, err)
		}
		wires.calls = nil
		if err := d.fail(t.Context()); err == nil || !strings.Contains(err.Error(), "carries another fault already") {
			t.Errorf("%s: %v", kind, err)
		}
		if err := d.mend(t.Context()); err != nil || len(d.seen) > 0 || len(wires.calls) > 0 {
			t.Errorf("%s: %v, seen %+v, %q", kind, err, d.seen, wires.calls)
		}
		after, err := Faults(t.Context(), east.Client)
		if diff := cmp.Diff(before, after); err != nil || diff != "" {
			t.Errorf("%s: %v (-before +after):\n%s", kind, err, diff)
		}
	}
}

// TestWhatAnInterruptLeavesIsSaid: without a report the error alone tells of it.
func TestWhatAnInterruptLeavesIsSaid(t *testing.T) {
	t.Parallel()
	d, _ := broken(t, FaultGateway, nil, gatewayDeployment(2))
	left := FaultSeen{Fault: Fault{Kind: FaultGateway, Cluster: "east", Object: "Deployment istio-system/gw", Replicas: 2}, Problem: "policy says no"}
	d.world.Faults = []FaultSeen{{Fault: left.Fault}, left}
	err := d.unrestored()
	if err == nil || !strings.Contains(err.Error(), "gw of east is scaled to 0, it had 2 replicas, and could not be restored: policy says no") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if hints := strings.Join(diag.Hints(err), " "); !strings.Contains(hints, "`meshfed verify`") {
		t.Errorf("hints %q", hints)
	}
	d.world.Faults = d.world.Faults[:1]
	if err := d.unrestored(); err != nil {
		t.Errorf("all is restored: %v", err)
	}
}

func TestWhatSomebodyElseSetMeanwhileStays(t *testing.T) {
	t.Parallel()
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(2))
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateway := gatewayDeployment(0)
	if err := east.Get(t.Context(), client.ObjectKeyFromObject(gateway), gateway); err != nil {
		t.Fatal(err)
	}
	five := int32(5)
	gateway.Spec.Replicas = &five
	if err := east.Update(t.Context(), gateway); err != nil {
		t.Fatal(err)
	}
	if err := d.mend(t.Context()); err != nil || !strings.Contains(d.seen[0].Replaced, "to 5") {
		t.Errorf("%v, seen %+v", err, d.seen)
	}
	asItWas(t, east, 5)
}

// TestACutWithoutAnEngine ends by itself; until then nobody says that all is well.
func TestACutWithoutAnEngine(t *testing.T) {
	t.Parallel()
	d, east := broken(t, FaultNetwork, &wiring{}, gatewayDeployment(1))
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.mesh.Network.(*wiring).calls; !slices.Equal(got, []string{"cut east from west for 1m0s"}) {
		t.Errorf("calls %q", got)
	}
	_, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, &wiring{unable: "no engine"}, nil)
	if err == nil || !strings.Contains(err.Error(), "ends by itself at") {
		t.Errorf("error %v", err)
	}
	f := d.entries[0].Fault
	f.Until = time.Now().Add(-time.Second)
	if err := f.undo(t.Context(), east.Client, nil); err != nil {
		t.Errorf("after the deadline: %v", err)
	}
}

// hangs is an engine that takes a command and does not end.
type hangs struct{ wiring }

func (*hangs) Cut(ctx context.Context, _ string, _ []string, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestAnEngineThatHangsHoldsNothingUp: the cut is given up in time, says so, and is taken back.
func TestAnEngineThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	network := &hangs{}
	d, _ := broken(t, FaultNetwork, network)
	d.options.within = 50 * time.Millisecond
	if err := d.fail(t.Context()); err == nil || !strings.Contains(err.Error(), "cutting east off from west: not made within 50ms") {
		t.Errorf("error %v", err)
	}
	if err := d.mend(t.Context()); err != nil || !slices.Contains(network.calls, "mend east") {
		t.Errorf("%v, calls %q", err, network.calls)
	}
}

// TestACutSparesWhomItDoesNotApplyTo: a cluster of the user's own stays as it is.
func TestACutSparesWhomItDoesNotApplyTo(t *testing.T) {
	t.Parallel()
	wires := &wiring{unable: "own was not made by this program", alone: "own"}
	d, east := broken(t, FaultNetwork, wires)
	own := d.mesh.Topology.Spec.Clusters[0]
	own.Name = "own"
	d.mesh.Topology.Spec.Clusters = append(d.mesh.Topology.Spec.Clusters, own)
	d.others = []string{"own", "west"}
	if err := d.fail(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := Faults(t.Context(), east.Client)
	if err != nil || len(left) != 2 || !slices.Equal(left[0].Cut, []string{"west"}) || !slices.Equal(wires.calls, []string{"cut east from west for 1m0s"}) {
		t.Errorf("journal %+v, %v; %q", left, err, wires.calls)
	}
	if d.what() != "cutting east off from west" {
		t.Error(d.what())
	}
	if lines := strings.Join(Touches(d.mesh.Topology, nil, wires), "\n"); !strings.Contains(lines, "nodes of west drop all that comes from east, for") {
		t.Error(lines)
	}
}

func TestAnEntryThatCanNotBeReadIsNotOverlooked(t *testing.T) {
	t.Parallel()
	gateway := gatewayDeployment(0)
	gateway.Annotations[AnnotationFault] = "{"
	_, east := broken(t, FaultGateway, nil, gateway)
	_, err := Restore(t.Context(), map[string]*kube.Client{"east": east.Client}, nil, nil)
	if !errors.Is(err, errJournal) || len(diag.Hints(err)) == 0 {
		t.Errorf("error %v, hints %q", err, diag.Hints(err))
	}
}

func TestNothingIsBrokenThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, objs := range map[string][]client.Object{"no Deployment": nil, "no replicas": {gatewayDeployment(0)}} {
		d, east := broken(t, FaultGateway, nil, objs...)
		if err := d.fail(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := Faults(t.Context(), east.Client); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(1))
	d.options.Journal = func(Fault) error { return errors.New("no space left on device") }
	if err := d.fail(t.Context()); err == nil || len(east.Writes()) > 0 {
		t.Errorf("without a journal: %v, writes %q", err, east.Writes())
	}
}

func TestWhatDisruptiveFaultsTouchIsSaidBeforehand(t *testing.T) {
	t.Parallel()
	top := testTopology()
	got := strings.Join(Touches(top, nil, &wiring{}), "\n")
	for _, words := range []string{"the east-west gateway of west is scaled to 0 and its pods deleted, for 46.5s at most", "the east-west gateway of east is scaled", "nodes of west drop all that comes from east"} {
		if !strings.Contains(got, words) {
			t.Errorf("%q is missing in\n%s", words, got)
		}
	}
	top.Spec.Clusters[1].Network = top.Spec.Clusters[0].Network
	got = strings.Join(Touches(top, nil, &wiring{unable: "east was not made by this program"}), "\n")
	for _, words := range []string{"no gateway fault: west and east share a network", "no gateway fault: east and west share", "no network fault: east was not made by this program"} {
		if !strings.Contains(got, words) {
			t.Errorf("%q is missing in\n%s", words, got)
		}
	}
	if strings.Contains(got, "scaled") {
		t.Errorf("a gateway would be scaled:\n%s", got)
	}
}
