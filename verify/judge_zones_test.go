// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func at(region, zone string) topology.Locality { return topology.Locality{Region: region, Zone: zone} }

// twoZones is the healthy world with west in two zones: its caller and echo are in a, another
// echo is in b.
func twoZones(w *World) {
	a, b := at("us-west", "a"), at("us-west", "b")
	w.Topology.Spec.Clusters[0].Locality = at("us-west", "")
	w.Topology.Spec.Clusters[0].Provider.Kind = &topology.KindProvider{Nodes: []topology.Node{{Role: "control-plane"}, {Role: "worker", Locality: a}, {Role: "worker", Locality: b}}}
	w.Nodes["west"] = Nodes{Localities: map[string]topology.Locality{"cp": at("us-west", ""), "wa": a, "wb": b}, Closed: map[string]bool{"cp": true}}
	probes := w.Probes["west"]
	probes.Pods = []ProbePod{{Name: "caller", UID: "caller", Node: "wa", Address: "10.10.1.5"},
		{Name: "echo", UID: "west", Node: "wa", Address: "10.10.1.6"}, {Name: "beyond", UID: "beyond", Node: "wb", Address: "10.10.2.6"}}
	w.Probes["west"] = probes
	w.Views["west"].Services[host(testNamespace, serviceLocal)] = zonedView(0, 1, 2)
	// What east has of west are two entries for one gateway, of which Envoy keeps the first.
	theirs := w.Views["east"].Services[host(testNamespace, serviceLocal)]
	for i := range theirs {
		if theirs[i].Cluster == "west" {
			theirs[i].Locality = a
		}
	}
}

// zonedView are the endpoints of the caller in west with some priorities: its own zone, the
// other zone, east.
func zonedView(own, other, east int) []Endpoint {
	return []Endpoint{{Address: "10.10.1.6", Cluster: "west", Healthy: true, Weight: 1, Priority: own},
		{Address: "10.10.2.6", Cluster: "west", Healthy: true, Weight: 1, Priority: other}, far("east", 1, east)}
}

func TestZones(t *testing.T) {
	t.Parallel()
	with := func(alter func(w *World)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			twoZones(w)
			if alter != nil {
				alter(w)
			}
		}
	}
	priorities := func(own, other, east int) func(*World, testPKI) {
		return with(func(w *World) {
			w.Views["west"].Services[host(testNamespace, serviceLocal)] = zonedView(own, other, east)
		})
	}
	answers := func(own, other, lost int) func(*World, testPKI) {
		return with(func(w *World) {
			w.Loads[LoadKey{"west", serviceLocal}] = Load{Sent: own + other + lost, Lost: lost, Answers: map[string]int{"west": own + other},
				Outcomes: []probe.Outcome{answer("west", 200, own), answer("beyond", 200, other)}}
		})
	}
	check(t, []judgement{
		{"own zone, other zone, other region", with(nil), "locality-priorities", "west", "west", "", Pass, ""},
		{"and the pair", with(nil), "locality-priorities", "west", "east", "", Pass, ""},
		{"and back", with(nil), "locality-priorities", "east", "west", "", Pass, ""},
		{"zones share a priority", priorities(0, 0, 1), "locality-priorities", "west", "west", "", Fail, "LOC003"},
		{"zones are the wrong way round", priorities(1, 0, 2), "locality-priorities", "west", "west", "", Fail, "LOC003"},
		{"the other region before the other zone", priorities(0, 2, 1), "locality-priorities", "west", "east", "", Fail, "LOC003"},
		{"the other region with the other zone", priorities(0, 1, 1), "locality-priorities", "west", "east", "", Fail, "LOC003"},
		{"no pod in the other zone", with(func(w *World) {
			w.Views["west"].Services[host(testNamespace, serviceLocal)] = slices.Delete(zonedView(0, 1, 2), 1, 2)
		}), "locality-priorities", "west", "west", "", Inconclusive, ""},
		{"a caller on a node that nobody knows", with(func(w *World) { w.Probes["west"].Pods[0].Node = "gone" }), "locality-priorities", "west", "east", "", Inconclusive, ""},
		{"a gateway of no zone that is known", with(func(w *World) {
			e := &w.Views["east"].Services[host(testNamespace, serviceLocal)][1]
			e.Locality = at("us-west", "z")
		}), "locality-priorities", "east", "west", "", Inconclusive, ""},
		{"pods can be in one zone only", with(func(w *World) { w.Nodes["west"].Closed["wb"] = true }), "locality-priorities", "west", "west", "", Skip, ""},

		{"all answers from the own zone", answers(40, 0, 0), "locality-answers", "west", "west", "", Pass, ""},
		{"one from the other zone", answers(39, 1, 0), "locality-answers", "west", "west", "", Fail, "LOC004"},
		{"one lost", answers(39, 0, 1), "locality-answers", "west", "west", "", Inconclusive, ""},
		{"none from the other region", answers(40, 0, 0), "locality-answers", "west", "east", "", Pass, ""},
		{"one from the other zone is not local", answers(39, 1, 0), "locality-answers", "west", "east", "", Inconclusive, ""},
		{"its nodes", with(nil), "locality-nodes", "", "west", "", Pass, ""},
		{"both workers in one zone", with(func(w *World) { w.Nodes["west"].Localities["wb"] = at("us-west", "a") }), "locality-nodes", "", "west", "", Fail, "LOC001"},
	})
}

// TestWhatZonesAreCalled: results of one cluster speak of its zones.
func TestWhatZonesAreCalled(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	twoZones(w)
	for id, want := range map[string]string{
		"locality-priorities": "us-west/a has priority 0, us-west/b has 1",
		"locality-answers":    "40 of 40 answers were local to us-west/a",
	} {
		if r := find(t, w, id, "west", "west", ""); r.Message != want {
			t.Errorf("%s: %q, want %q", id, r.Message, want)
		}
	}
	if r := find(t, w, "locality-nodes", "", "west", ""); r.Message != "3 nodes of west are in us-west, us-west/a, us-west/b" {
		t.Error(r.Message)
	}
	// A cluster in one zone says nothing of itself.
	for _, r := range judgePriorities(w) {
		if r.From == "east" && r.To == "east" {
			t.Errorf("east has one zone: %s", r.Line())
		}
	}
}

// TestPodsArePinned: in a cluster with several zones one pod is in the second and all others
// in the first; a tainted node counts for nothing.
func TestPodsArePinned(t *testing.T) {
	t.Parallel()
	node := func(name, zone string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{topology.LabelRegion: "us-west", topology.LabelZone: zone}}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	tainted := corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}
	soft := corev1.Taint{Key: "x", Effect: corev1.TaintEffectPreferNoSchedule}
	for name, test := range map[string]struct {
		nodes  []*corev1.Node
		caller string
		beyond string
	}{
		"two zones":             {[]*corev1.Node{node("2", "b"), node("1", "a"), node("3", "b")}, "a", "b"},
		"three":                 {[]*corev1.Node{node("2", "b"), node("1", "a"), node("3", "c")}, "a", "b"},
		"one":                   {[]*corev1.Node{node("1", "a"), node("2", "a")}, "", ""},
		"the other is tainted":  {[]*corev1.Node{node("1", "a", tainted), node("2", "b")}, "", ""},
		"the first is tainted":  {[]*corev1.Node{node("1", "a", tainted), node("2", "b"), node("3", "c")}, "b", "c"},
		"pods would rather not": {[]*corev1.Node{node("1", "a", soft), node("2", "b")}, "a", "b"},
		"without a zone":        {[]*corev1.Node{node("1", ""), node("2", "b")}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west")
			for _, n := range test.nodes {
				if err := c.Create(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			s := newSession(Mesh{Topology: testTopology()}, Options{}, []string{"west"}, []string{SuiteLocality}, time.Now())
			m := newMember(s, "west", c.Client)
			m.places = m.nodes(t.Context()).zones()
			if has := slices.Contains(m.cast(), roleBeyond); has != (test.beyond != "") {
				t.Errorf("roles %v", m.cast())
			}
			for r, zone := range map[role]string{roleCaller: test.caller, roleEcho: test.caller, roleBeyond: test.beyond} {
				pod, err := m.objects().pod("west", r)
				if err != nil {
					t.Fatal(err)
				}
				if got := pod.Spec.NodeSelector[topology.LabelZone]; got != zone {
					t.Errorf("the %s is bound to zone %q, want %q", r, got, zone)
				}
				if behind := pod.Labels[prefixService+serviceLocal] == "true"; behind != (r != roleCaller) {
					t.Errorf("the %s stands behind %s: %v", r, serviceLocal, behind)
				}
			}
		})
	}
}

// TestPartlyKnown: spec.discovery decides who is judged, and that others stay unknown.
func TestPartlyKnown(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	w.Topology.Spec.Discovery = map[string][]string{"west": {"east"}}
	h := host(testNamespace, serviceEven)
	w.Views["east"].Services[h] = []Endpoint{near("east", 1)}
	w.Views["east"].Services[host(testNamespace, serviceHeavy("east"))] = []Endpoint{near("east", 3)}
	var results []Result
	for _, c := range Checks() {
		results = append(results, c.run(w)...)
	}
	report := newReport(w.Topology, w.Clusters, Suites(), results)
	for _, c := range report.Checks {
		unknown := c.From == "east" && c.To == "west"
		switch {
		case c.Status == Fail || c.Status == Inconclusive:
			t.Errorf("%s: %s", c.Status, c.Line())
		case unknown && c.ID == CoverageCheck && c.Status == Skip:
		case unknown && c.ID != "discovery-endpoints" && c.Suite != SuiteTrust:
			t.Errorf("east does not know west, and yet: %s", c.Line())
		}
	}
	if r := find(t, w, "discovery-endpoints", "east", "west", ""); r.Status != Pass || !strings.Contains(r.Message, "spec.discovery leaves out") {
		t.Errorf("%s: %s", r.Status, r.Message)
	}
	w.Views["east"].Services[h] = append(w.Views["east"].Services[h], far("west", 1, 0))
	if r := find(t, w, "discovery-endpoints", "east", "west", ""); r.Status != Fail || r.Code != "FED012" {
		t.Errorf("%s %s: %s", r.Status, r.Code, r.Message)
	}
	// A set-up that failed keeps that pair skipped, and all others inconclusive.
	for _, c := range NotRun(w.Topology, Options{}, nil).Checks {
		if c.ID == CoverageCheck && (c.Status == Skip) != (c.From == "east" && c.To == "west") {
			t.Errorf("not run: %s: %s", c.Status, c.Line())
		}
	}
}

// TestSharesBehindGateways: a gateway passes on to every pod of its network, so two clusters of
// one network are judged together by a caller outside of it.
func TestSharesBehindGateways(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	asia := w.Topology.Spec.Clusters[1]
	asia.Name, asia.Primary, asia.Config, asia.Network = "asia", "asia", "asia", "asia-network"
	w.Topology.Spec.Clusters = append(w.Topology.Spec.Clusters, asia)
	w.Clusters = w.Topology.Names()
	w.Topology.Spec.Clusters[1].Network = w.Topology.Spec.Clusters[0].Network
	w.Probes["asia"] = Probes{Ready: map[string]int{"echo": 1}}
	h := host(testNamespace, serviceEven)
	w.Views["asia"] = Views{Services: map[string][]Endpoint{h: {near("asia", 1), far("west", 1, 0), far("east", 1, 0)}}}
	load := func(west, east, asia int) {
		w.Loads[LoadKey{"asia", serviceEven}] = Load{Sent: 300, Answers: map[string]int{"west": west, "east": east, "asia": asia}}
	}
	load(30, 170, 100)
	if r := find(t, w, "weights-share", "asia", "west", "even"); r.Status != Pass || !strings.Contains(r.Message, "200 of 300 answers came from west and east") {
		t.Errorf("%s: %s", r.Status, r.Message)
	}
	load(20, 80, 200)
	if r := find(t, w, "weights-share", "asia", "west", "even"); r.Status != Fail {
		t.Errorf("too few from their network: %s: %s", r.Status, r.Message)
	}
	// Within the network nothing stands in between.
	w.Views["west"].Services[h] = []Endpoint{near("west", 1), near("east", 1)}
	w.Loads[LoadKey{"west", serviceEven}] = Load{Sent: 200, Answers: map[string]int{"west": 180, "east": 20}}
	if r := find(t, w, "weights-share", "west", "east", "even"); r.Status != Fail {
		t.Errorf("within a network: %s: %s", r.Status, r.Message)
	}
}
