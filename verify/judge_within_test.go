// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/probe"
)

// within says how calls inside of a cluster ended, beside something else that is wrong.
func within(cluster string, in Within, also ...func(*World, testPKI)) func(*World, testPKI) {
	return func(w *World, pki testPKI) {
		w.Within = map[string]Within{cluster: in}
		for _, do := range also {
			do(w, pki)
		}
	}
}

func TestWhatPolicyKeepsOutIsNotJudged(t *testing.T) {
	t.Parallel()
	const west, east = "west", "east"
	ends := func(o probe.Outcome) Within { o.Count = 5; return Within{Call: Call{Outcomes: []probe.Outcome{o}}} }
	refused, lost, broken := ends(denied403), ends(noAnswer), ends(noTLS)
	passes := Within{Call: Call{Outcomes: []probe.Outcome{answer(east, 200, 5)}, Clusters: []string{east}}}
	half := Within{Call: Call{Outcomes: []probe.Outcome{answer(east, 200, 4), {Error: probe.ErrTimeout, Count: 1}}, Clusters: []string{east}}}
	// Nothing of east answers west, and all of it was sent.
	silent := func(service string, local, sent int) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			w.Loads[LoadKey{west, service}] = Load{Host: "h", Sent: sent, Answers: map[string]int{west: local}, Lost: sent - local,
				Outcomes: []probe.Outcome{answer(west, 200, local), {Error: probe.ErrTimeout, Count: sent - local}}}
		}
	}
	noFailover := line(testLine(west, east, 10, 80, phase{10, 0}, phase{70, 2}, phase{20, 0}))
	check(t, []judgement{
		{"answers", within(east, lost, silent("echo", 100, 200)), "discovery-answers", west, east, "", Inconclusive, ""},
		{"answers, refused at home", within(west, refused, silent("echo", 0, 200)), "discovery-answers", west, east, "", Inconclusive, ""},
		{"answers, though the control passes", within(east, passes, silent("echo", 100, 200)), "discovery-answers", west, east, "", Fail, "NET008"},
		{"answers, though most of the control passes", within(east, half, silent("echo", 100, 200)), "discovery-answers", west, east, "", Fail, "NET008"},
		{"answers, where the mesh is broken within", within(east, broken, silent("echo", 0, 200)), "discovery-answers", west, east, "", Fail, "NET008"},
		{"answers, with a cause that the API shows", within(east, lost, silent("echo", 100, 200), func(w *World, _ testPKI) {
			g := w.Gateways[east]
			g.Exposures = nil
			w.Gateways[east] = g
		}), "discovery-answers", west, east, "", Fail, "NET005"},
		{"a share that is missing", within(east, lost, silent("echo", 100, 200)), "weights-share", west, east, "even", Inconclusive, ""},
		{"a share that is missing without a reason", within(east, passes, silent("echo", 100, 200)), "weights-share", west, east, "even", Fail, "LOC008"},
		{"failover into it", within(east, refused, noFailover), "failover-switch", west, east, "errors", Inconclusive, ""},
		{"failover that does not happen", within(east, passes, noFailover), "failover-switch", west, east, "errors", Fail, "LOC005"},
		{"lost on the way", within(east, lost, noFailover), "failover-lost", west, east, "errors", Inconclusive, ""},
		{"other clusters", within(east, lost), "locality-answers", west, east, "", Pass, ""},
	})
}

func TestWhoKeepsItOutIsNamed(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	denied, dropped := denied403, noAnswer
	denied.Count, dropped.Count = 5, 5
	policies := []Policy{
		{Name: "istio-system/all", Action: "ALLOW"}, {Name: "istio-system/some", Action: "DENY", Rules: 1, Selector: map[string]string{"app": "other"}},
		{Name: "istio-system/ext", Action: "CUSTOM", Rules: 1, Selector: map[string]string{labelApp: probeApp}},
		{Name: "istio-system/door", Action: "DENY", Rules: 1, Selector: map[string]string{"istio": "ingressgateway"}},
	}
	for name, tc := range map[string]struct {
		outcome        probe.Outcome
		words, without []string
	}{
		"denied":  {denied, []string{"denied even within west", "istio-system/all (allows nothing)", "istio-system/ext (CUSTOM)", "rejected: not for you"}, []string{"some", "door", "default-deny"}},
		"dropped": {dropped, []string{"do not even arrive within west", "NetworkPolicy default-deny", "rejected: not for you"}, []string{"istio-system"}},
	} {
		w.Within = map[string]Within{"west": {Call: Call{Outcomes: []probe.Outcome{tc.outcome}}, Policies: policies, Network: []string{"default-deny"}, Refused: []string{"not for you"}}}
		got := w.hindered("east", "west")
		for _, words := range tc.words {
			if !strings.Contains(got, words) {
				t.Errorf("%s: %q is missing in %q", name, words, got)
			}
		}
		for _, words := range tc.without {
			if strings.Contains(got, words) {
				t.Errorf("%s: %q is in %q", name, words, got)
			}
		}
		if w.hindered("east") != "" {
			t.Errorf("%s: east is hindered too", name)
		}
	}
	if got := w.guards("west", "ingressgateway"); !strings.Contains(got, "door (DENY)") || strings.Contains(got, "some") {
		t.Errorf("guards %q", got)
	}
}

// What Envoy and the probe say where nothing answers, as they were seen.
func TestDroppedIsNotWhatAMeshBreaks(t *testing.T) {
	t.Parallel()
	words := func(detail string) probe.Outcome { return probe.Outcome{Status: 503, Detail: detail} }
	for name, tc := range map[string]struct {
		o    probe.Outcome
		want bool
	}{
		"connect time-out": {noAnswer, true},
		"refused":          {words("upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: 111"), true},
		"no answer":        {probe.Outcome{Error: probe.ErrTimeout}, true},
		"no name":          {probe.Outcome{Error: probe.ErrDNS}, true},
		"TLS":              {noTLS, false},
		"cut":              {words("upstream connect error or disconnect/reset before headers. reset reason: connection termination"), false},
		"no endpoint":      {words("no healthy upstream"), false},
		"denied":           {denied403, false},
		"an error":         {probe.Outcome{Status: 500}, false},
		"reset":            {probe.Outcome{Error: probe.ErrReset}, false},
	} {
		if got := dropped(tc.o); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
