// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/topology"
)

func result(id string, status Status, code, from, to string) Result {
	return Result{ID: id, Status: status, Code: code, From: from, To: to, Message: id + " " + code}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	type found struct {
		Code     string
		Severity Severity
		Clusters []string
		Checks   []string
		CausedBy []Cause
	}
	for name, tc := range map[string]struct {
		results []Result
		want    []found
	}{
		"nothing wrong": {[]Result{result("a", Pass, "", "west", "east"), result("b", Inconclusive, "", "west", "east"), result("c", Skip, "", "", "west")}, nil},
		"one finding of two checks": {
			[]Result{result("discovery-secret", Fail, "FED001", "west", "east"), result("discovery-reach", Fail, "FED001", "west", "east")},
			[]found{{"FED001", SeverityError, []string{"west", "east"}, []string{"discovery-secret", "discovery-reach"}, []Cause{}}}},
		"a cause and what it brings about": {
			[]Result{result("discovery-reach", Fail, "NET003", "west", "east"), result("discovery-address", Fail, "NET001", "", "east")},
			[]found{
				{"NET001", SeverityError, []string{"east"}, []string{"discovery-address"}, []Cause{}},
				{"NET003", SeverityError, []string{"west", "east"}, []string{"discovery-reach"}, []Cause{{"NET001", []string{"east"}}}},
			}},
		"two independent faults are two causes": {
			[]Result{result("a", Fail, "NET001", "", "north"), result("b", Fail, "NET003", "west", "east")},
			[]found{
				{"NET001", SeverityError, []string{"north"}, []string{"a"}, []Cause{}},
				{"NET003", SeverityError, []string{"west", "east"}, []string{"b"}, []Cause{}},
			}},
		"the other direction is another pair": {
			[]Result{result("a", Fail, "FED001", "west", "east"), result("b", Fail, "FED011", "east", "west")},
			[]found{
				{"FED001", SeverityError, []string{"west", "east"}, []string{"a"}, []Cause{}},
				{"FED011", SeverityError, []string{"east", "west"}, []string{"b"}, []Cause{}},
			}},
		"codes that are not linked": {
			[]Result{result("a", Fail, "TRU008", "", "east"), result("b", Fail, "NET005", "", "east")},
			[]found{
				{"TRU008", SeverityError, []string{"east"}, []string{"a"}, []Cause{}},
				{"NET005", SeverityError, []string{"east"}, []string{"b"}, []Cause{}},
			}},
		"errors before warnings, and a warning that is an error elsewhere": {
			[]Result{result("a", Warn, "TRU007", "", "east"), result("b", Warn, "TRU006", "", "west"), result("c", Fail, "TRU006", "", "west")},
			[]found{
				{"TRU006", SeverityError, []string{"west"}, []string{"b", "c"}, []Cause{}},
				{"TRU007", SeverityWarning, []string{"east"}, []string{"a"}, []Cause{}},
			}},
	} {
		var got []found
		for _, f := range Findings(&Report{Checks: tc.results}) {
			if f.Fix == "" || f.Message == "" {
				t.Errorf("%s: %s has no fix or no message", name, f.Code)
			}
			got = append(got, found{f.Code, f.Severity, f.Clusters, f.Checks, f.CausedBy})
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestEveryCodeHasAFix holds the list of codes against what checks may give, and its causes
// against itself: no code may cause itself, however far around.
func TestEveryCodeHasAFix(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for _, c := range Checks() {
		for _, code := range c.Codes {
			given[code] = true
		}
	}
	for code := range given {
		if codeOf(code).Fix == "" {
			t.Errorf("%s has no fix in Codes", code)
		}
	}
	seen := map[string]bool{}
	for _, c := range Codes() {
		if seen[c.ID] || !given[c.ID] {
			t.Errorf("%s is listed twice, or no check gives it", c.ID)
		}
		seen[c.ID] = true
		reached := slices.Clone(c.Causes)
		for i := 0; i < len(reached); i++ {
			if !given[reached[i]] {
				t.Errorf("%s is caused by %s, which no check gives", c.ID, reached[i])
			}
			for _, more := range codeOf(reached[i]).Causes {
				if !slices.Contains(reached, more) {
					reached = append(reached, more)
				}
			}
		}
		if slices.Contains(reached, c.ID) {
			t.Errorf("%s causes itself", c.ID)
		}
	}
}

// TestLookingWithSecrets sees without probes what only Secrets show.
func TestLookingWithSecrets(t *testing.T) {
	t.Parallel()
	f := newFakeMesh(t)
	remove(t, f.fakes["east"], &corev1.Secret{ObjectMeta: system(topology.CACertsSecret)})
	r, err := Run(t.Context(), f.mesh, Options{Access: Reading})
	if err != nil {
		t.Fatal(err)
	}
	all := Findings(r)
	if len(all) == 0 || all[0].Code != "TRU002" || !slices.Equal(all[0].Clusters, []string{"east"}) || len(all[0].CausedBy) != 0 {
		t.Errorf("findings %+v", all)
	}
	// Where Secrets may not be read, nothing is made of it.
	f = newFakeMesh(t)
	f.withoutSecrets()
	if r, err = Run(t.Context(), f.mesh, Options{Access: Reading}); err != nil {
		t.Fatal(err)
	}
	if all := Findings(r); len(all) > 0 || len(r.Unseen()) == 0 {
		t.Errorf("without a look at Secrets: %+v, unseen %v", all, r.Unseen())
	}
}

func TestRootsAreComparedWithoutProbes(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	w.Access = Reading
	for c, r := range w.Roots {
		delete(r.ByNamespace, testNamespace)
		w.Roots[c] = r
	}
	for _, r := range append(judgeRoots(w), judgeDistributed(w)...) {
		if r.Status != Pass {
			t.Errorf("%s %s", r.Status, r.Message)
		}
	}
	w.Roots["east"].ByNamespace[topology.SystemNamespace][0] = certs.Fingerprint(testRoot(t).Certificate)
	failed := 0
	for _, r := range append(judgeRoots(w), judgeDistributed(w)...) {
		if r.Status == Fail {
			failed++
		}
	}
	if failed == 0 {
		t.Error("another root in east was not seen")
	}
}
