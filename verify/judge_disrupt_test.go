// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"
	"time"
)

func TestDisruptiveFaultJudgements(t *testing.T) {
	t.Parallel()
	const west, east = "west", "east"
	line := func(variant string, l Line) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Lines[LineKey{west, east, variant}] = l }
	}
	never := testLine(west, east, 10, 80, phase{10, alternating}, phase{70, 2}, phase{20, alternating})
	slow := testLine(west, east, 10, 130, phase{10, alternating}, phase{101, 2}, phase{19, 0}, phase{20, alternating})
	noEffect := testLine(west, east, 10, 80, phase{100, alternating})
	flapping := testLine(west, east, 10, 50, phase{10, alternating}, phase{8, 0}, phase{1, 2}, phase{8, 0}, phase{1, 2}, phase{8, 0}, phase{1, 2}, phase{8, 0}, phase{1, 2}, phase{5, 0}, phase{20, alternating})
	gone := testLine(west, east, 10, 30, phase{10, alternating}, phase{2, 2}, phase{80, 0})
	late := testLine(west, east, 10, 30, phase{10, alternating}, phase{2, 2}, phase{640, 0}, phase{15, alternating})
	once := testLine(west, east, 10, 30, phase{10, alternating}, phase{2, 2}, phase{23, 0}, phase{1, 1}, phase{30, 0})
	alone := testLine(west, east, 10, 30, phase{50, 0})
	id := func(id, name, variant string, l Line, want Status, code string) judgement {
		return judgement{name + ", " + variant, line(variant, l), id, west, east, variant, want, code}
	}
	var all []judgement
	for _, kind := range []string{FaultGateway, FaultNetwork, FaultNetwork + ", default retries"} {
		all = append(all,
			id("failover-switch", "all that is asked is lost", kind, never, Fail, "LOC005"),
			id("failover-switch", "too slow", kind, slow, Fail, "LOC005"),
			id("failover-switch", "never steady", kind, flapping, Fail, "LOC005"),
			id("failover-switch", "the other one answers all the time", kind, noEffect, Inconclusive, ""),
			id("failover-switch", "the other one never answered", kind, alone, Inconclusive, ""),
			id("failover-switch", "does not apply", kind, Line{Skipped: "west and east share a network"}, Skip, ""),
			id("failover-switch", "not tried", kind, Line{Problem: "no Deployment"}, Inconclusive, ""),
			id("failover-lost", "too many", kind, slow, Fail, "LOC005"),
			id("failover-back", "never", kind, gone, Fail, "LOC010"),
			id("failover-back", "too late", kind, late, Fail, "LOC010"),
			id("failover-back", "one answer is not back", kind, once, Fail, "LOC010"),
		)
	}
	check(t, all)
}

func TestWhatADisruptiveFaultChangedIsRestored(t *testing.T) {
	t.Parallel()
	seen := FaultSeen{Fault: Fault{Kind: FaultGateway, Cluster: "east", Object: "Deployment istio-system/istio-eastwestgateway", Replicas: 3}, Took: 4 * time.Second}
	refused, scaled := seen, seen
	refused.Problem = "admission webhook denied the request"
	scaled.Replaced = "somebody else scaled it to 2"
	for name, tc := range map[string]struct {
		seen  FaultSeen
		want  Status
		words string
	}{
		"it is":         {seen, Pass, "Deployment istio-system/istio-eastwestgateway of east has its 3 replicas again, after 4s"},
		"refused":       {refused, Fail, "is scaled to 0, it had 3 replicas, and could not be restored: admission webhook denied the request; `meshfed verify`"},
		"somebody else": {scaled, Warn, "somebody else scaled it to 2"},
	} {
		w, _ := healthy(t)
		w.Faults = []FaultSeen{tc.seen}
		got := find(t, w, "failover-restored", "", "east", FaultGateway)
		if got.Status != tc.want || !strings.Contains(got.Message, tc.words) || (got.Status == Pass) != (got.Code == "") {
			t.Errorf("%s: %s %s", name, got.Status, got.Line())
		}
	}
}

func TestTimesOfADisruptiveFault(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	sw := find(t, w, "failover-switch", "west", "east", FaultNetwork)
	if got := sw.Evidence["steadySeconds"]; got != 0.2 || sw.Message != "west alone answered, steadily, 200ms after the network to east went away" {
		t.Errorf("steady after %v s: %s", got, sw.Message)
	}
	// A connection is given up soon only where nothing else tells that the other side is gone.
	for variant, want := range map[string]string{"errors": "4s", "away, default retries": "4s", FaultGateway: "1s", FaultNetwork: "1s"} {
		policy, _ := find(t, w, "failover-switch", "west", "east", variant).Evidence["policy"].(map[string]any)
		if policy["connectTimeout"] != want {
			t.Errorf("%s: the report says that a connection may take %v, want %s", variant, policy["connectTimeout"], want)
		}
	}
	if got := find(t, w, "failover-back", "west", "east", FaultNetwork).Evidence["backSeconds"]; got != 0.5 {
		t.Errorf("back after %v s, want 0.5", got)
	}
}
