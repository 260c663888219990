//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// proven are the suites that `up` proves.
const proven = "trust,discovery,weights,locality,authorization"

// shape is an example that is brought up, proven, left alone, changed and taken down.
type shape struct {
	name, example string
	// pairs is how many ordered pairs the proof covers.
	pairs int
	// then is what else is tried while it is up.
	then []trial
}

// trial is something that is done to a mesh that is up.
type trial struct {
	name string
	run  func(*testing.T, *mesh)
}

// onlyAll skips what is too much for two cores in CI.
func onlyAll(t *testing.T) {
	t.Helper()
	if os.Getenv("MESHFED_E2E_ALL") == "" {
		t.Skip("set MESHFED_E2E_ALL, as make e2e-all does")
	}
}

// example writes an example under another name.
func example(t *testing.T, name, example string) *mesh {
	t.Helper()
	text, err := os.ReadFile("../../examples/" + example + "/topology.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return meshOf(t, podman(), name, regexp.MustCompile(`(?m)^  name: .*$`).ReplaceAllString(string(text), "  name: "+name))
}

func (s shape) run(t *testing.T) {
	before := inventory(t, podman(), "")
	m := example(t, s.name, s.example)
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	file := filepath.Join(t.TempDir(), "proof.json")
	up := m.must("up", "--report", file, "-v")
	t.Log(up.stdout)
	s.covered(t, file)
	upAgain(t, m)
	for _, one := range s.then {
		ok := t.Run(one.name, func(t *testing.T) {
			m.t = t
			one.run(t, m)
		})
		m.t = t
		if !ok {
			t.Fatalf("%s: the rest builds on it", one.name)
		}
	}
	m.must("down", "--delete-certs", "--yes")
	sameInventory(t, before, inventory(t, podman(), m.state))
}

// covered holds the proof to every pair and suite.
func (s shape) covered(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	var rep report
	if err == nil {
		err = json.Unmarshal(data, &rep)
	}
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]map[string]bool{}
	counts := map[string]map[string]int{}
	for _, c := range rep.Checks {
		if counts[c.Suite] == nil {
			counts[c.Suite], passed[c.Suite] = map[string]int{}, map[string]bool{}
		}
		counts[c.Suite][c.Status]++
		// What an external control plane knows of others is no pair.
		if c.Status == "pass" && slices.Contains(rep.Clusters, c.From) && slices.Contains(rep.Clusters, c.To) && c.From != c.To {
			passed[c.Suite][c.From+":"+c.To] = true
		}
	}
	for suite := range strings.SplitSeq(proven, ",") {
		t.Logf("%s: %v, %d pairs", suite, counts[suite], len(passed[suite]))
		if len(passed[suite]) != s.pairs {
			t.Errorf("%s covers %v, want %d pairs", suite, slices.Sorted(maps.Keys(passed[suite])), s.pairs)
		}
	}
	t.Logf("%v in %.1f s", rep.Summary, rep.DurationSeconds)
}

// result of a check of a report; a check that says nothing fails the test.
func (r report) result(t *testing.T, id, from, to string) check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c check) bool { return c.ID == id && c.From == from && c.To == to })
	if i < 0 {
		t.Fatalf("nothing is said of %s %s:%s", id, from, to)
	}
	return r.Checks[i]
}

// TestAllThreeNetworks: three primaries, each pair through gateways; then two of them need not
// know each other.
func TestAllThreeNetworks(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2ethree", example: "three-networks", pairs: 6, then: []trial{
		{"three clusters beside two of them", threeBesideTwo},
		{"central and east need not know each other", strangers},
	}}.run(t)
}

// threeBesideTwo proves two clusters and all three in one run of the test: six pairs are not three
// times the work of two.
func threeBesideTwo(t *testing.T, m *mesh) {
	const suites = proven + ",gateway,dns,services"
	two := m.parse(m.must("verify", "-o", "json", "--suite", suites, "--clusters", "west,east"))
	three := m.parse(m.must("verify", "-o", "json", "--suite", suites))
	t.Logf("two clusters: %.1f s, %v; three: %.1f s, %v; ratio %.2f", two.DurationSeconds, two.Summary, three.DurationSeconds, three.Summary, three.DurationSeconds/two.DurationSeconds)
}

// strangers takes one pair out of spec.discovery: credentials go, endpoints go, the proof
// leaves that pair out, and all comes back without it.
func strangers(t *testing.T, m *mesh) {
	const known = "spec.discovery={west: [central, east], central: [west], east: [west]}"
	m.must("up", "--set", known, "--verify", "never")
	rep := m.parse(m.run("verify", "--set", known, "--suite", "discovery,weights", "-o", "json"))
	if len(rep.failing()) > 0 || rep.Summary["inconclusive"] > 0 {
		t.Errorf("%v:\n%s", rep.Summary, rep.words())
	}
	for _, pair := range [][2]string{{"central", "east"}, {"east", "central"}} {
		if c := rep.result(t, "discovery-endpoints", pair[0], pair[1]); c.Status != "pass" || !strings.Contains(c.Message, "spec.discovery") {
			t.Errorf("%v: %s: %s", pair, c.Status, c.Message)
		}
	}
	// Against the file, in which everyone knows everyone, the same mesh is broken.
	broken := m.run("verify", "--suite", "discovery", "-o", "json")
	if rep := m.parse(broken); broken.code != 3 || rep.result(t, "discovery-secret", "east", "central").Code != "FED001" {
		t.Errorf("exit code %d: %s", broken.code, rep.words())
	}
	m.must("up", "--verify", "never")
	if r := m.run("verify", "--suite", "discovery", "-o", "json"); r.code != 0 {
		t.Errorf("put back: %s", m.parse(r).words())
	}
}

// TestAllFlatNetwork: two primaries of two nodes each in one network, and a third cluster in
// another.
func TestAllFlatNetwork(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2eflat", example: "flat-network", pairs: 6, then: []trial{
		{"gateways and the network go away", fourWays},
		{"a route is gone", withoutRoute},
		{"nodes are started again with other addresses", workersSwapped},
	}}.run(t)
}

// podsOf is the subnet of the pods of a node.
func (m *mesh) podsOf(cluster, node string) string {
	m.t.Helper()
	var nodes corev1.NodeList
	if err := m.client(cluster).List(m.t.Context(), &nodes); err != nil {
		m.t.Fatal(err)
	}
	for _, n := range nodes.Items {
		if n.Name == node {
			return n.Spec.PodCIDR
		}
	}
	m.t.Fatalf("%s has no node %s", cluster, node)
	return ""
}

// tool is the engine as the program uses it on this host.
func (m *mesh) tool() engine {
	e := m.engine
	if conf := filepath.Join(m.state, m.name, "containers.conf"); exists(conf) {
		e.env = append(slices.Clone(e.env), "CONTAINERS_CONF="+conf)
	}
	return e
}

// withoutRoute takes a route out of one node: requests of its pods get lost, and nothing else.
func withoutRoute(t *testing.T, m *mesh) {
	worker, theirs := m.name+"-west-worker", m.name+"-east-worker"
	m.tool().output(t, "exec", worker, "ip", "route", "del", m.podsOf("east", theirs))
	r := m.run("verify", "--suite", "discovery", "-o", "json")
	rep := m.parse(r)
	if c := rep.result(t, "discovery-answers", "west", "east"); r.code != 3 || c.Status != "fail" || c.Code != "NET013" {
		t.Errorf("exit code %d, %s %s: %s", r.code, c.Status, c.Code, c.Message)
	}
	for _, pair := range [][2]string{{"west", "asia"}, {"east", "west"}, {"asia", "east"}} {
		if c := rep.result(t, "discovery-answers", pair[0], pair[1]); c.Status != "pass" {
			t.Errorf("%v: %s %s: %s", pair, c.Status, c.Code, c.Message)
		}
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 5 || !strings.Contains(plan.stdout, worker+" has no route") {
		t.Errorf("plan does not see it: %s", plan)
	}
	m.must("up", "--verify", "never")
	var changed []any
	for _, e := range m.events("up") {
		if e["event"] == "changed" {
			changed = append(changed, e["step"])
		}
	}
	if fmt.Sprint(changed) != "[routes@west:east]" {
		t.Errorf("up changed %v", changed)
	}
	if r := m.run("verify", "--suite", "discovery", "-o", "json"); r.code != 0 {
		t.Errorf("after up: %s", m.parse(r).words())
	}
}

// workersSwapped stops a worker of each cluster and starts them in the other order: they lose
// their routes and come back at other addresses.
func workersSwapped(t *testing.T, m *mesh) {
	west, east := m.name+"-west-worker", m.name+"-east-worker"
	made := m.nodes()
	m.tool().output(t, "stop", "--time", "5", west, east)
	first, second := west, east
	if made[west].address < made[east].address { // engines give the lowest address that is free
		first, second = east, west
	}
	m.tool().output(t, "start", first)
	m.tool().output(t, "start", second)
	now := m.nodes()
	t.Logf("%s had %s, has %s; %s had %s, has %s", west, made[west].address, now[west].address, east, made[east].address, now[east].address)
	m.must("up", "--verify", "never")
	if r := m.run("verify", "--suite", "discovery", "-o", "json"); r.code != 0 {
		t.Errorf("after up: %s", m.parse(r).words())
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("what was just mended is to be changed again: %s", plan)
	}
}

// TestAllZones: a cluster of two zones, judged by itself too.
func TestAllZones(t *testing.T) {
	onlyAll(t)
	shape{name: "mfe2ezones", example: "zones", pairs: 2, then: []trial{{"the zones of west", zonesOfWest}}}.run(t)
}

func zonesOfWest(t *testing.T, m *mesh) {
	rep := m.parse(m.must("verify", "--suite", "locality", "-o", "json"))
	for id, want := range map[string]string{
		"locality-priorities": "us-west/us-west-a has priority 0, us-west/us-west-b has 1",
		"locality-answers":    "answers were local to us-west/us-west-a",
	} {
		if c := rep.result(t, id, "west", "west"); c.Status != "pass" || !strings.Contains(c.Message, want) {
			t.Errorf("%s: %s: %s", id, c.Status, c.Message)
		}
	}
	if c := rep.result(t, "locality-priorities", "west", "east"); !strings.Contains(c.Message, "east has 2") {
		t.Errorf("the other region is not last: %s", c.Message)
	}

	// A worker that says it is in the other one's zone.
	label := func(zone string) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.name + "-west-worker2"}}
		patch := fmt.Sprintf(`{"metadata": {"labels": {%q: %q}}}`, corev1.LabelTopologyZone, zone)
		if err := m.client("west").Patch(t.Context(), node, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	label("us-west-a")
	defer label("us-west-b")
	if rep := m.parse(m.run("verify", "--suite", "locality", "-o", "json")); rep.result(t, "locality-nodes", "", "west").Code != "LOC001" {
		t.Errorf("nobody sees a node in the wrong zone: %s", rep.words())
	}
}
