// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/probe"
)

func testReport(results ...Result) *Report {
	t := testTopology()
	r := newReport(t, t.Names(), []string{SuiteTrust, SuiteDiscovery, SuiteLocality}, results)
	r.Tool, r.StartedAt, r.DurationSeconds = "0.1.0", time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), 7.25
	r.Substitutions = []string{"upstream Envoy 1.40.0"}
	return r
}

func one(id, suite string, r Result, from, to string, variant ...string) Result {
	r.ID, r.Suite = id, suite
	return r.between(from, to, variant...)
}

func mixed() *Report {
	return testReport(
		one("discovery-answers", SuiteDiscovery, pass("100 of 200 requests from west were answered by east"), "west", "east"),
		one("discovery-answers", SuiteDiscovery, fail("FED001", "no request from east was answered by west: east has no remote secret for west"), "east", "west"),
		one("trust-roots", SuiteTrust, pass("one root").with("west", "SHA256:aa"), "west", "east", "cacerts"),
		one("trust-roots", SuiteTrust, pass("one root"), "east", "west", "cacerts"),
		one("trust-cacerts", SuiteTrust, warn("TRU006", "expires in 3 days"), "", "east"),
		one("locality-priorities", SuiteLocality, skip("one locality"), "west", "east"),
		one("locality-priorities", SuiteLocality, pass("ok"), "east", "west"),
	)
}

// TestWhatWasRestoredIsInEveryForm of a report that somebody reads.
func TestWhatWasRestoredIsInEveryForm(t *testing.T) {
	t.Parallel()
	r := mixed()
	r.Substitutions, r.Restored = nil, []string{"scaled the gateway of west back to 1"}
	if text := markdown(t, r); !strings.Contains(text, "\n\n- restored what a killed run had left: scaled the gateway of west back to 1\n") {
		t.Errorf("Markdown:\n%s", text)
	}
	doc := junit(t, r)
	conforms(t, doc)
	if !bytes.Contains(doc, []byte(`<property name="restored" value="scaled the gateway of west back to 1">`)) {
		t.Errorf("JUnit:\n%s", doc)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	fmt.Fprintln(&b, mixed().Counted())
	for _, c := range mixed().Checks {
		fmt.Fprintln(&b, c.Status, c.Line())
	}
	golden.Check(t, "testdata/lines.golden", b.Bytes())
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	data, err := mixed().JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/report.golden.json", data)
	var head struct {
		APIVersion, Kind, Tool, Topology string
		Substitutions                    []string
		Summary                          map[string]int
		Checks                           []Result
	}
	if err := json.Unmarshal(data, &head); err != nil {
		t.Fatal(err)
	}
	if head.APIVersion != "meshfed.io/v1alpha1" || head.Kind != "VerifyReport" || head.Topology != "usmesh" {
		t.Errorf("head %+v", head)
	}
	for _, s := range []string{"pass", "warn", "fail", "inconclusive", "skip"} {
		if _, ok := head.Summary[s]; !ok {
			t.Errorf("the summary lacks %s", s)
		}
	}
	if !strings.HasPrefix(string(data), "{\n  \"apiVersion\"") {
		t.Error("the object does not begin with apiVersion")
	}
}

func TestRequestsAreCountedOnce(t *testing.T) {
	t.Parallel()
	run := probe.RunReport{Sent: 40}
	steady := probe.RunReport{ID: "7", Sent: 200}
	for name, tc := range map[string]struct {
		answer       any
		method, path string
		want         int64
	}{
		"a counted load":                {run, "POST", "/run", 40},
		"the begin of a load":           {steady, "POST", "/runs", 0},
		"a look at a load that goes on": {steady, "GET", "/runs/7", 0},
		"its end":                       {steady, "DELETE", "/runs/7", 200},
		"a connection":                  {probe.KnockReport{}, "POST", "/knock", 1},
		"a lookup":                      {probe.Lookup{}, "POST", "/lookup", 0},
	} {
		if got := sentBy(tc.answer, tc.method, tc.path); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	r := mixed()
	r.RemovalSeconds, r.Requests = 6, &Requests{API: map[string]int64{"west": 300, "east": 20}, Probes: 240}
	if got := r.Counted(); !strings.HasSuffix(got, "probes removed in 6.0 s, 320 API requests and 240 of probes") {
		t.Errorf("said: %s", got)
	}
}

func TestASkipNeverHidesAPair(t *testing.T) {
	t.Parallel()
	r := mixed()
	i := slices.IndexFunc(r.Checks, func(c Result) bool { return c.ID == CoverageCheck })
	if i < 0 || r.Checks[i].From != "west" || r.Checks[i].To != "east" || r.Checks[i].Variant != SuiteLocality || r.Checks[i].Status != Inconclusive {
		t.Fatalf("no coverage result for the pair that was skipped: %+v", r.Checks)
	}
	if got, _ := r.Tally().Cell(SuiteLocality, "west", "east"); got != Inconclusive {
		t.Errorf("the matrix shows %s", got)
	}
}

func TestASuiteThatDoesNotApplyIsSkippedAndSeen(t *testing.T) {
	t.Parallel()
	results := []Result{one("trust-roots", SuiteTrust, pass("ok"), "west", "east"), one("trust-roots", SuiteTrust, pass("ok"), "east", "west")}
	for _, p := range pairs([]string{"west", "east"}) {
		results = append(results, one("discovery-answers", SuiteDiscovery, pass("ok"), p.From, p.To),
			one("locality-answers", SuiteLocality, moot("one zone"), p.From, p.To, "a"), one("locality-answers", SuiteLocality, moot("one zone"), p.From, p.To, "b"))
	}
	r := testReport(results...)
	if r.ExitCode() != ExitPass {
		t.Errorf("exit code %d", r.ExitCode())
	}
	if got, counts := r.Tally().Cell(SuiteLocality, "west", "east"); got != Skip || counts[Skip] != 3 {
		t.Errorf("the matrix shows %s, %v", got, counts)
	}
	const words = "locality does not apply to 2 of 2 pairs: one zone"
	if got := r.NotApplicable(); !slices.Equal(got, []string{words}) {
		t.Errorf("said: %q", got)
	}
	var page bytes.Buffer
	if err := r.Markdown(&page); err != nil || !strings.Contains(page.String(), words) {
		t.Errorf("Markdown does not say so (%v):\n%s", err, page.String())
	}
	results[2] = one("locality-nodes", SuiteLocality, unsure("forbidden"), "west", "")
	if r := testReport(results...); r.ExitCode() != ExitInconclusive {
		t.Errorf("what could not be seen was hidden: exit code %d", r.ExitCode())
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	good := func() []Result {
		var all []Result
		for _, s := range []string{SuiteTrust, SuiteDiscovery, SuiteLocality} {
			all = append(all, one(s+"-x", s, pass("ok"), "west", "east"), one(s+"-x", s, pass("ok"), "east", "west"))
		}
		return all
	}
	for name, tc := range map[string]struct {
		results []Result
		want    int
	}{
		"all pass":                  {good(), 0},
		"a warning":                 {append(good(), one("a", SuiteTrust, warn("TRU006", "x"), "", "east")), 0},
		"a skip":                    {append(good(), one("a", SuiteTrust, skip("x"), "west", "")), 0},
		"one fails":                 {append(good(), one("a", SuiteTrust, fail("TRU001", "x"), "west", "")), 3},
		"one inconclusive":          {append(good(), one("a", SuiteTrust, unsure("x"), "west", "")), 4},
		"fail before inconclusive":  {append(good(), one("a", SuiteTrust, unsure("x"), "west", ""), one("b", SuiteTrust, fail("TRU001", "x"), "west", "")), 3},
		"a pair without any result": {good()[1:], 4},
		"nothing":                   {nil, 4},
	} {
		if got := testReport(tc.results...).ExitCode(); got != tc.want {
			t.Errorf("%s: exit code %d, want %d", name, got, tc.want)
		}
	}
}
