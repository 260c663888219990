// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/topology"
)

func TestEveryCheckAndCodeHasAHeadingAndNoHeadingIsLeftOver(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "docs", "checks.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (\S+)`).FindAllStringSubmatch(string(doc), -1) {
		if headings[m[1]] {
			t.Errorf("docs/checks.md has two headings %q", m[1])
		}
		headings[m[1]] = true
	}
	want := map[string]bool{CoverageCheck: true}
	for _, c := range Checks() {
		want[c.ID] = true
		for _, code := range c.Codes {
			want[code] = true
		}
	}
	for name := range want {
		if !headings[name] {
			t.Errorf("docs/checks.md has no heading %q", name)
		}
	}
	for name := range headings {
		if !want[name] {
			t.Errorf("docs/checks.md explains %q, which no check gives", name)
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.ID] {
			t.Errorf("two checks %q", c.ID)
		}
		seen[c.ID] = true
		if !strings.HasPrefix(c.ID, c.Suite+"-") || !slices.Contains(Suites(), c.Suite) {
			t.Errorf("%s does not say its suite %q", c.ID, c.Suite)
		}
		if c.Title == "" || len(c.Codes) == 0 || len(c.Needs) == 0 || c.Judge == nil {
			t.Errorf("%s is incomplete", c.ID)
		}
	}
}

func TestChosenSuites(t *testing.T) {
	t.Parallel()
	top := testTopology()
	for name, tc := range map[string]struct {
		file []string
		o    Options
		want string
		fail string
	}{
		"default leaves failover out": {nil, Options{}, "trust discovery weights locality authorization gateway dns services", ""},
		"full":                        {nil, Options{Failover: true}, "trust discovery weights locality failover authorization gateway dns services", ""},
		"named, in order":             {nil, Options{Suites: []string{"failover", "trust"}}, "trust failover", ""},
		"of the file":                 {[]string{"locality"}, Options{}, "locality", ""},
		"named before the file's":     {[]string{"locality"}, Options{Suites: []string{"trust"}}, "trust", ""},
		"unknown":                     {nil, Options{Suites: []string{"trsut"}}, "", "no suite"},
	} {
		top.Spec.Verify.Suites = tc.file
		got, err := chosen(top, tc.o)
		if tc.fail != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fail) {
				t.Errorf("%s: error %v", name, err)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := chosenClusters(top, []string{"north"}); err == nil {
		t.Error("an unknown cluster was accepted")
	}
	if got, err := chosenClusters(top, []string{"east"}); err != nil || !slices.Equal(got, []string{"east"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNamesOfServicesFitALabel(t *testing.T) {
	t.Parallel()
	top := testTopology()
	long := strings.Repeat("a", 48)
	top.Spec.Clusters = append(top.Spec.Clusters, topology.Cluster{Name: long})
	seen := map[string]bool{}
	for _, s := range services(top, top.Names(), Suites(), true) {
		if len(s.Name) > 63 || seen[s.Name] {
			t.Errorf("service name %q is too long or there twice", s.Name)
		}
		seen[s.Name] = true
	}
}
