// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func line(l Line) func(*World, testPKI) {
	return func(w *World, _ testPKI) { w.Lines[LineKey{"west", "east", "errors"}] = l }
}

func TestFailoverJudgements(t *testing.T) {
	t.Parallel()
	const west, east = "west", "east"
	never := testLine(west, east, 10, 80, phase{10, 0}, phase{70, 2}, phase{20, 0})
	slow := testLine(west, east, 10, 90, phase{10, 0}, phase{60, 2}, phase{20, 1}, phase{15, 0})
	flapping := testLine(west, east, 10, 50, phase{10, 0}, phase{5, 1}, phase{1, 2}, phase{8, 1}, phase{1, 2}, phase{8, 1}, phase{1, 2}, phase{8, 1}, phase{1, 2}, phase{7, 1}, phase{20, 0})
	stuck := testLine(west, east, 10, 30, phase{10, 0}, phase{2, 2}, phase{148, 1})
	late := testLine(west, east, 10, 30, phase{10, 0}, phase{2, 2}, phase{128, 1}, phase{20, 0})
	shared := testLine(west, east, 10, 30, phase{8, 0}, phase{2, 1}, phase{20, 1}, phase{20, 0})
	underWay := shared // when the fault came: a busy Envoy asked for an endpoint only then
	shared.Early = 4
	dead := testLine(west, east, 10, 30, phase{60, 2})
	id := func(id, name string, l Line, want Status, code string) judgement {
		return judgement{name, line(l), id, west, east, "errors", want, code}
	}
	check(t, []judgement{
		id("failover-switch", "never", never, Fail, "LOC005"),
		id("failover-switch", "too slow", slow, Fail, "LOC005"),
		id("failover-switch", "never steady", flapping, Fail, "LOC005"),
		id("failover-switch", "not local before", shared, Fail, "LOC004"),
		id("failover-switch", "sent before, answered from elsewhere after", underWay, Pass, ""),
		id("failover-switch", "no answer at all", dead, Inconclusive, ""),
		id("failover-switch", "not tried", Line{Problem: "no forward"}, Inconclusive, ""),
		id("failover-lost", "too many", slow, Fail, "LOC005"),
		id("failover-lost", "no answer at all", dead, Inconclusive, ""),
		id("failover-back", "never", stuck, Fail, "LOC010"),
		id("failover-back", "too late", late, Fail, "LOC010"),
		id("failover-back", "never left", never, Inconclusive, ""),
		{"other variants are judged by themselves", line(never), "failover-switch", west, east, "away", Pass, ""},
	})
}

// oneLocality puts all nodes of both clusters in one place, or in none.
func oneLocality(place topology.Locality, promised bool) func(*World, testPKI) {
	return func(w *World, _ testPKI) {
		for i := range w.Topology.Spec.Clusters {
			c := &w.Topology.Spec.Clusters[i]
			if !promised {
				c.Locality = place
			}
			w.Nodes[c.Name] = Nodes{Localities: map[string]topology.Locality{c.Name: place}}
		}
		w.Lines = nil // no load is sent
	}
}

func TestFailoverDoesNotApplyWithinOneLocality(t *testing.T) {
	t.Parallel()
	none, same := topology.Locality{}, topology.Locality{Region: "us", Zone: "1"}
	check(t, []judgement{
		{"without localities", oneLocality(none, false), "failover-switch", "west", "east", "errors", Skip, ""},
		{"in the same one", oneLocality(same, false), "failover-lost", "east", "west", "away, default retries", Skip, ""},
		{"back", oneLocality(same, false), "failover-back", "east", "west", "away", Skip, ""},
		{"the file promises others", oneLocality(same, true), "failover-switch", "west", "east", "errors", Inconclusive, ""},
		{"nodes that could not be listed", func(w *World, _ testPKI) { w.Nodes["east"], w.Lines = Nodes{Problem: "forbidden"}, nil }, "failover-switch", "west", "east", "errors", Inconclusive, ""},
	})
	w, pki := healthy(t)
	oneLocality(same, false)(w, pki)
	for _, words := range []string{"are both in us/1", "spec.clusters[].locality"} {
		if r := find(t, w, "failover-switch", "west", "east", "errors"); !r.NotApplicable || !strings.Contains(r.Message, words) {
			t.Errorf("%q is missing in %+v", words, r)
		}
	}
}

func TestLostRequestsAreToldByWhen(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	w.Lines[LineKey{"west", "east", "errors"}] = testLine("west", "east", 10, 30,
		phase{9, 0}, phase{1, 2}, phase{1, 1}, phase{6, 2}, phase{13, 1}, phase{2, 2}, phase{18, 0})
	r := find(t, w, "failover-lost", "west", "east", "errors")
	for _, words := range []string{"18 of 100 requests", "2 before the fault", "12 under it (from 100ms to 700ms of it)", "4 after the repair (from 0s to 200ms of it)", "raise spec.verify.failover.lostAtMost"} {
		if r.Status != Fail || !strings.Contains(r.Message, words) {
			t.Errorf("%q is missing in %s: %s", words, r.Status, r.Message)
		}
	}
}

// TestAClusterMayBeCalledLost and is still told from requests that were.
func TestAClusterMayBeCalledLost(t *testing.T) {
	t.Parallel()
	p := topology.Pair{From: "west", To: "lost"}
	l := testLine(p.From, p.To, 1, 3, phase{1, 0}, phase{1, 2}, phase{1, 1})
	data, err := json.Marshal(l.read(p).timeline(p, l))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Answers map[string][]int
		Lost    []int
	}
	if err := json.Unmarshal(data, &got); err != nil || !slices.Equal(got.Answers["west"], []int{2, 0, 0}) || !slices.Equal(got.Answers["lost"], []int{0, 0, 2}) || !slices.Equal(got.Lost, []int{0, 2, 0}) {
		t.Errorf("%s: %+v, %v", data, got, err)
	}
}

func TestTimelineTimes(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	sw := find(t, w, "failover-switch", "west", "east", "errors")
	if got := sw.Evidence["firstSeconds"]; got != 0.2 {
		t.Errorf("first answer after %v s, want 0.2", got)
	}
	if got := sw.Evidence["steadySeconds"]; got != 0.2 {
		t.Errorf("steady after %v s, want 0.2", got)
	}
	if got := find(t, w, "failover-lost", "west", "east", "errors").Evidence["lost"]; got != 4 {
		t.Errorf("lost %v, want 4", got)
	}
	if got := find(t, w, "failover-back", "west", "east", "errors").Evidence["backSeconds"]; got != 0.5 {
		t.Errorf("back after %v s, want 0.5", got)
	}
	if policy, ok := sw.Evidence["policy"].(map[string]any); !ok || policy["retries"] != "none" {
		t.Error("the probe's own policy is missing")
	}
}

func TestAnOpenRequestKeepsAStoryFromBeingSettled(t *testing.T) {
	t.Parallel()
	s := testLine("west", "east", 10, 30, phase{10, 0}, phase{20, 1}).read(topology.Pair{From: "west", To: "east"})
	if settled(s.remote, s.local, s.lost, s.fault, len(s.local)) < 0 {
		t.Fatal("a steady story is not settled")
	}
	s = s.until(1900 * time.Millisecond)
	if len(s.local) != 19 || settled(s.remote, s.local, s.lost, s.fault, len(s.local)) >= 0 {
		t.Error("nine complete buckets are called steady")
	}
	if got := s.until(time.Hour); len(got.local) != 19 {
		t.Errorf("%d buckets", len(got.local))
	}
}

func TestAuthorizationJudgements(t *testing.T) {
	t.Parallel()
	const west, east = "west", "east"
	set := func(from, to string, kind CallKind, c Call) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Calls[CallKey{from, to, kind}] = c }
	}
	ends := func(o ...probe.Outcome) Call { return Call{Outcomes: o} }
	let := Call{Outcomes: []probe.Outcome{answer(east, 200, 5)}, Clusters: []string{east}}
	forbidden := ends(probe.Outcome{Status: 403, Count: 5, Detail: "RBAC: access denied"})
	timeout := ends(probe.Outcome{Error: probe.ErrTimeout, Count: 5})
	lossy := Call{Outcomes: []probe.Outcome{answer(east, 200, 4), {Error: probe.ErrTimeout, Count: 1},
		{Status: 503, Count: 1, Detail: "upstream connect error or disconnect/reset before headers. reset reason: connection timeout"}}, Clusters: []string{east}}
	mixed := Call{Outcomes: []probe.Outcome{answer(east, 200, 4), {Status: 403, Count: 1}}, Clusters: []string{east}}
	own := ends(probe.Outcome{Status: 503, Count: 5, Detail: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"})
	check(t, []judgement{
		{"denied", set(west, east, CallAllowed, forbidden), "authorization-allowed", west, east, "", Fail, "AUZ001"},
		{"answered by another cluster", set(west, east, CallAllowed, Call{Outcomes: let.Outcomes, Clusters: []string{west}}), "authorization-allowed", west, east, "", Fail, "NET008"},
		{"broken way", set(west, east, CallAllowed, own), "authorization-allowed", west, east, "", Fail, "NET008"},
		{"some without an answer", set(west, east, CallAllowed, lossy), "authorization-allowed", west, east, "", Inconclusive, ""},
		{"some denied", set(west, east, CallAllowed, mixed), "authorization-allowed", west, east, "", Fail, "AUZ001"},
		{"not made", set(west, east, CallAllowed, Call{Problem: "no forward"}), "authorization-allowed", west, east, "", Inconclusive, ""},

		{"let in", set(west, east, CallDenied, let), "authorization-denied", west, east, "", Fail, "AUZ002"},
		{"let in once", set(west, east, CallDenied, ends(probe.Outcome{Status: 403, Count: 4}, answer(east, 200, 1))), "authorization-denied", west, east, "", Fail, "AUZ002"},
		{"time-out is no denial", set(west, east, CallDenied, timeout), "authorization-denied", west, east, "", Inconclusive, ""},
		{"time-out of the own sidecar", set(west, east, CallDenied, ends(probe.Outcome{Status: 503, Count: 5,
			Detail: "upstream connect error or disconnect/reset before headers. reset reason: connection timeout"})), "authorization-denied", west, east, "", Inconclusive, ""},
		{"another error is no denial", set(west, east, CallDenied, ends(probe.Outcome{Status: 500, Count: 5})), "authorization-denied", west, east, "", Inconclusive, ""},
		{"503 of the own sidecar", set(west, east, CallDenied, own), "authorization-denied", west, east, "", Pass, ""},
		{"a twin of which some had no answer", set(west, east, CallAllowed, lossy), "authorization-denied", west, east, "", Pass, ""},
		{"a twin that is denied at times", set(west, east, CallAllowed, mixed), "authorization-denied", west, east, "", Inconclusive, ""},
		{"without an allowed twin", set(west, east, CallAllowed, own), "authorization-denied", west, east, "", Inconclusive, ""},

		{"answered", set(west, west, CallStrict, Call{Outcomes: []probe.Outcome{answer(west, 200, 5)}, Clusters: []string{west}}), "authorization-plaintext", west, west, "", Fail, "AUZ002"},
		{"closed", set(west, west, CallStrict, ends(probe.Outcome{Error: probe.ErrClosed, Count: 5})), "authorization-plaintext", west, west, "", Pass, ""},
		{"twin refused too", set(west, west, CallPermissive, ends(probe.Outcome{Error: probe.ErrReset, Count: 5})), "authorization-plaintext", west, west, "", Inconclusive, ""},

		{"denied", set(west, east, CallIngress, forbidden), "authorization-ingress", west, east, "", Fail, "AUZ001"},
		{"no ingress", set(west, east, CallIngress, Call{Skipped: "no ingress"}), "authorization-ingress", west, east, "", Skip, ""},

		{"let in", set(west, east, CallDirect, let), "authorization-direct", west, east, "", Fail, "AUZ002"},
		{"ingress broken too", set(west, east, CallIngress, own), "authorization-direct", west, east, "", Inconclusive, ""},
	})
}
