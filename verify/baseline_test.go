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

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/golden"
)

// measuredReport is a report with one failover that took so long and lost so many requests.
func measuredReport(steady, back any, lost int) *Report {
	r := newReport(testTopology(), []string{"west", "east"}, []string{SuiteFailover}, []Result{
		one("failover-switch", SuiteFailover, pass("east answered west").with("steadySeconds", steady).with("firstSeconds", 0.5), "west", "east", "errors"),
		one("failover-lost", SuiteFailover, pass("few were lost").with("lost", lost).with("rate", 20.0), "west", "east", "errors"),
		one("failover-back", SuiteFailover, pass("back again").with("backSeconds", back), "west", "east", "errors"),
	})
	r.StartedAt = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	return r
}

func answers(r Result) *Report {
	return testReport(one("discovery-answers", SuiteDiscovery, r, "west", "east"))
}

func TestCompare(t *testing.T) {
	t.Parallel()
	passes, fails := pass("40 of 40 requests were answered"), fail("FED001", "east has no remote secret for west")
	facts := func(istiod, intermediate string) *Report {
		r := answers(passes)
		r.Facts = []ClusterFacts{{Cluster: "west", Istiod: []string{istiod}, Intermediate: &CertificateFact{Fingerprint: intermediate},
			Leaf: &CertificateFact{Fingerprint: intermediate + istiod}}}
		return r
	}
	replica := func(pod string, r Result) *Report {
		return testReport(one("discovery-synced", SuiteDiscovery, r, "west", "east", pod))
	}
	for name, test := range map[string]struct {
		before, after *Report
		limit         float64
		want          []string // lines, a regression with ! before it
	}{
		"nothing":                         {before: mixed(), after: mixed()},
		"a new failure":                   {before: answers(passes), after: answers(fails), want: []string{"!new failure: discovery-answers west -> east: east has no remote secret for west [FED001]"}},
		"mended":                          {before: answers(fails), after: answers(passes), want: []string{"mended: discovery-answers west -> east: 40 of 40 requests were answered"}},
		"still failing":                   {before: answers(fails), after: answers(fail("FED001", "other words"))},
		"another cause":                   {before: answers(fails), after: answers(fail("NET008", "nothing answers")), want: []string{"fails otherwise (was FED001): discovery-answers west -> east: nothing answers [NET008]"}},
		"it could not be told: no lapse":  {before: answers(passes), after: answers(unsure("the API is away")), want: []string{"can not be told any more: discovery-answers west -> east: the API is away"}},
		"a skip mends nothing":            {before: answers(fails), after: answers(skip("not asked")), want: []string{"skipped now: discovery-answers west -> east: not asked"}},
		"a warning comes":                 {before: answers(passes), after: answers(warn("TRU006", "soon")), want: []string{"new warning: discovery-answers west -> east: soon [TRU006]"}},
		"a warning goes":                  {before: answers(warn("TRU006", "soon")), after: answers(passes), want: []string{"passes now: discovery-answers west -> east: 40 of 40 requests were answered"}},
		"a replica has another name":      {before: replica("istiod-a", passes), after: replica("istiod-b", passes)},
		"a second replica that fails":     {before: replica("istiod-a", passes), after: testReport(one("discovery-synced", SuiteDiscovery, passes, "west", "east", "istiod-a"), one("discovery-synced", SuiteDiscovery, fails, "west", "east", "istiod-b")), want: []string{"!new failure: discovery-synced west -> east (istiod-b): east has no remote secret for west [FED001]"}},
		"a check that was not there":      {before: testReport(), after: answers(passes), want: []string{"new: discovery-answers west -> east: 40 of 40 requests were answered"}},
		"a check that is gone":            {before: answers(passes), after: testReport(), want: []string{"gone: discovery-answers west -> east: it is not in this report any more"}},
		"3.1 s to 8.7 s":                  {before: measuredReport(3.1, 1.0, 0), after: measuredReport(8.7, 1.0, 0), want: []string{"!slower: failover-switch west -> east (errors): steady answers from elsewhere: 8.7 s, was 3.1 s"}},
		"8.7 s to 3.1 s":                  {before: measuredReport(8.7, 1.0, 0), after: measuredReport(3.1, 1.0, 0), want: []string{"faster: failover-switch west -> east (errors): steady answers from elsewhere: 3.1 s, was 8.7 s"}},
		"within the factor":               {before: measuredReport(5.0, 1.0, 0), after: measuredReport(9.9, 1.0, 0)},
		"a smaller factor":                {before: measuredReport(5.0, 1.0, 0), after: measuredReport(9.9, 1.0, 0), limit: 1.5, want: []string{"!slower: failover-switch west -> east (errors): steady answers from elsewhere: 9.9 s, was 5.0 s"}},
		"twenty times nothing is nothing": {before: measuredReport(0.1, 0.1, 0), after: measuredReport(2.0, 2.0, 0)},
		"it never came":                   {before: measuredReport(3.0, 1.0, 0), after: measuredReport(nil, nil, 0)},
		"lost within two seconds of load": {before: measuredReport(3.0, 1.0, 1), after: measuredReport(3.0, 1.0, 41)},
		"more lost":                       {before: measuredReport(3.0, 1.0, 1), after: measuredReport(3.0, 1.0, 42), want: []string{"!more-lost"}},
		"fewer lost":                      {before: measuredReport(3.0, 1.0, 142), after: measuredReport(3.0, 1.0, 1), want: []string{"fewer lost: failover-lost west -> east (errors): requests lost: 1, was 142"}},
		"another istiod":                  {before: facts("1.30.1", "SHA256:aa"), after: facts("1.31.0", "SHA256:aa"), want: []string{"changed: istiod of west is 1.31.0, was 1.30.1"}},
		"another intermediate, not leaf":  {before: facts("1.31.0", "SHA256:aa"), after: facts("1.31.0", "SHA256:bb"), want: []string{"changed: the intermediate of west is SHA256:bb, was SHA256:aa"}},
		"an older report without facts":   {before: answers(passes), after: facts("1.31.0", "SHA256:bb")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := DefaultRegression()
			if test.limit > 0 {
				limit.Factor = test.limit
			}
			c, err := Compare(test.before, throughJSON(t, test.after), limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range c.Changes {
				if one.ID == CoverageCheck {
					continue // told beside the check itself
				}
				line := one.Line()
				if one.Regression {
					line = "!" + line
				}
				if one.Kind == MoreLost {
					line = "!more-lost"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if c.Regressions > 0 && c.ExitCode() != ExitFail {
				t.Errorf("exit code %d with %d regressions", c.ExitCode(), c.Regressions)
			}
			if c.Regressions == 0 && c.ExitCode() != test.after.ExitCode() {
				t.Errorf("exit code %d, that of the report is %d", c.ExitCode(), test.after.ExitCode())
			}
		})
	}
}

// throughJSON is a report as a later command reads it back.
func throughJSON(t *testing.T, r *Report) *Report {
	t.Helper()
	data, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadReport(data)
	if len(r.Checks) > 0 && err != nil {
		t.Fatal(err)
	}
	return back
}

// TestSuitesAndClustersAreToldOnce: what only one of the reports was asked for is no list of
// checks that appeared, and no check of it counts.
func TestSuitesAndClustersAreToldOnce(t *testing.T) {
	t.Parallel()
	before, after := mixed(), mixed()
	after.Suites = []string{SuiteTrust, SuiteWeights}
	after.Checks = append(after.Checks, one("weights-share", SuiteWeights, fail("LOC008", "uneven"), "west", "east"))
	c, err := Compare(before, after, DefaultRegression())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range c.Changes {
		got = append(got, one.Line())
	}
	want := []string{"new: the suite weights was not in the earlier report", "gone: the suite discovery is not in this report", "gone: the suite locality is not in this report"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestABaselineThatIsRefused(t *testing.T) {
	t.Parallel()
	other, elsewhere := mixed(), mixed()
	other.Topology, elsewhere.Clusters = "eumesh", []string{"paris"}
	for want, before := range map[string]*Report{"of the topology eumesh, not": other, "no cluster in common: it has paris": elsewhere} {
		if _, err := Compare(before, mixed(), DefaultRegression()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestReportsOfOlderVersions: a report without the fields that came later is read, and compares.
func TestReportsOfOlderVersions(t *testing.T) {
	t.Parallel()
	old := []byte(`{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "topology": "usmesh", "clusters": ["west", "east"],
		"suites": ["discovery"], "laterField": {"a": 1}, "checks": [{"id": "discovery-answers", "suite": "discovery", "from": "west", "to": "east", "status": "pass"}]}`)
	r, err := ReadReport(old)
	if err != nil {
		t.Fatal(err)
	}
	after := answers(fail("NET008", "nothing answers"))
	after.Topology, after.Clusters = "usmesh", []string{"west", "east"}
	c, err := Compare(r, after, DefaultRegression())
	if err != nil || c.Regressions != 1 {
		t.Errorf("%v: %+v", err, c)
	}
	for text, want := range map[string]string{
		``:                              "no JSON report",
		`[1]`:                           "no JSON report",
		`{"kind": "VerifyReport"}`:      `apiVersion is ""`,
		string(old[:60]):                "no JSON report",
		`{"apiVersion": "v1"}`:          `apiVersion is "v1"`,
		`{"apiVersion": "meshfed.io/"}`: `kind is ""`,
		`{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "topology": "usmesh"}`: "holds no checks",
		strings.Replace(string(old), `"pass"`, `"fine"`, 1):                                   `with the status "fine"`,
	} {
		if _, err := ReadReport([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestParseRegression(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"2": 2, "2x": 2, "1.5": 1.5, "100%": 2, "50%": 1.5, "0%": 1, " 3 ": 3} {
		if got, err := ParseRegression(text); err != nil || got.Factor != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "0.5", "-1", "-10%", "NaN", "NaN%", "Inf", "1e9", "2 times", "2x%"} {
		if got, err := ParseRegression(text); err == nil {
			t.Errorf("%q gives %v", text, got)
		}
	}
}

// changed is every kind of change in one comparison.
func changed(t *testing.T) *Changes {
	t.Helper()
	before := testReport(append(slices.Clone(measuredReport(3.1, 1.0, 2).Checks),
		one("discovery-answers", SuiteDiscovery, pass("answered"), "west", "east"),
		one("discovery-answers", SuiteDiscovery, fail("FED001", "no remote secret"), "east", "west"))...)
	after := testReport(append(slices.Clone(measuredReport(8.7, 1.0, 142).Checks),
		one("discovery-answers", SuiteDiscovery, fail("NET008", "no request from west was answered by east through its gateway"), "west", "east"),
		one("discovery-answers", SuiteDiscovery, pass("19 of 40 requests from east were answered by west"), "east", "west"))...)
	for _, r := range []*Report{before, after} {
		r.Suites = []string{SuiteDiscovery, SuiteFailover}
	}
	before.Facts = []ClusterFacts{{Cluster: "west", Istiod: []string{"1.30.1"}, Intermediate: &CertificateFact{Fingerprint: "SHA256:AA:BB"}}}
	after.Facts = []ClusterFacts{{Cluster: "west", Istiod: []string{"1.31.0"}, Intermediate: &CertificateFact{Fingerprint: "SHA256:CC:DD"}}}
	after.StartedAt = after.StartedAt.Add(24 * time.Hour)
	c, err := Compare(before, after, DefaultRegression())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChangesGolden(t *testing.T) {
	t.Parallel()
	c := changed(t)
	text := c.Counted() + "\n"
	for _, one := range c.Changes {
		text += one.Line() + "\n"
	}
	golden.Check(t, "testdata/changes.golden.txt", text)
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/changes.golden.json", append(data, '\n'))
}

// FuzzReadReport: whatever a file holds, it is read or refused; and what is read does not differ
// from itself.
func FuzzReadReport(f *testing.F) {
	for _, r := range []*Report{mixed(), measuredReport(3.1, 1.0, 2)} {
		data, err := r.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"apiVersion":"meshfed.io/v1","kind":"VerifyReport","topology":"t","clusters":["a","a"],"suites":["x","x"],"checks":[{"id":"failover-switch","suite":"x","status":"pass","evidence":{"steadySeconds":1e308}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadReport(data)
		if err != nil {
			if r != nil {
				t.Error("a report beside an error")
			}
			return
		}
		again, err := ReadReport(bytes.Clone(data))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Compare(r, again, DefaultRegression())
		if len(r.Clusters) == 0 {
			return // refused
		}
		if err != nil || len(c.Changes) > 0 {
			t.Fatalf("%v: it differs from itself: %s", err, fmt.Sprint(c))
		}
	})
}
