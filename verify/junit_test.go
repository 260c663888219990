// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/topology"
)

// element is any XML element, to judge the document without the types that wrote it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) named(name string) []element {
	return slices.DeleteFunc(slices.Clone(e.Children), func(c element) bool { return c.XMLName.Local != name })
}

// conforms checks a document against what the xunit schema of Jenkins and the readers of
// GitHub and GitLab ask for, and returns the names of its test cases.
func conforms(t *testing.T, doc []byte) []string {
	t.Helper()
	var root element
	if err := xml.Unmarshal(doc, &root); err != nil {
		t.Fatalf("no XML: %v\n%s", err, doc)
	}
	allowed := map[string]struct {
		required, optional, children []string
	}{
		"testsuites": {nil, []string{"name", "time", "tests", "failures", "errors"}, []string{"testsuite"}},
		"testsuite": {[]string{"name", "tests", "failures", "errors"}, []string{"skipped", "time", "timestamp"},
			[]string{"properties", "testcase"}},
		"properties": {nil, nil, []string{"property"}},
		"property":   {[]string{"name", "value"}, nil, nil},
		"testcase":   {[]string{"name", "classname"}, []string{"time"}, []string{"skipped", "error", "failure", "system-out"}},
		"skipped":    {nil, []string{"message", "type"}, nil},
		"error":      {nil, []string{"message", "type"}, nil},
		"failure":    {nil, []string{"message", "type"}, nil},
		"system-out": {},
	}
	seconds, moment := regexp.MustCompile(`^\d+\.\d{3}$`), regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)
	var walk func(e element)
	walk = func(e element) {
		rule, ok := allowed[e.XMLName.Local]
		if !ok {
			t.Errorf("unknown element %s", e.XMLName.Local)
		}
		for _, name := range rule.required {
			if e.attr(name) == "" {
				t.Errorf("%s lacks %s", e.XMLName.Local, name)
			}
		}
		for _, a := range e.Attrs {
			name := a.Name.Local
			switch {
			case !slices.Contains(append(slices.Clone(rule.required), rule.optional...), name):
				t.Errorf("%s has the attribute %s", e.XMLName.Local, name)
			case name == "time" && !seconds.MatchString(a.Value), name == "timestamp" && !moment.MatchString(a.Value):
				t.Errorf("%s %q", name, a.Value)
			}
		}
		for _, c := range e.Children {
			if !slices.Contains(rule.children, c.XMLName.Local) {
				t.Errorf("%s in %s", c.XMLName.Local, e.XMLName.Local)
			}
			walk(c)
		}
	}
	walk(root)
	names, total := []string{}, map[string]int{}
	for _, suite := range root.named("testsuite") {
		have := map[string]int{}
		for _, c := range suite.named("testcase") {
			have["tests"]++
			for element, attr := range map[string]string{"failure": "failures", "error": "errors", "skipped": "skipped"} {
				have[attr] += len(c.named(element))
			}
			name := c.attr("classname") + " " + c.attr("name")
			if slices.Contains(names, name) {
				t.Errorf("two test cases %s", name)
			}
			names = append(names, name)
		}
		for _, attr := range []string{"tests", "failures", "errors", "skipped"} {
			total[attr] += have[attr]
			if got := suite.attr(attr); got != strconv.Itoa(have[attr]) {
				t.Errorf("%s of %s is %s, there are %d", attr, suite.attr("name"), got, have[attr])
			}
		}
	}
	for _, attr := range []string{"tests", "failures", "errors"} {
		if got := root.attr(attr); got != strconv.Itoa(total[attr]) {
			t.Errorf("%s is %s, there are %d", attr, got, total[attr])
		}
	}
	return names
}

func junit(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	doc := junit(t, mixed())
	conforms(t, doc)
	golden.Check(t, "testdata/junit.golden.xml", doc)
}

func TestJUnitOfAnyWordsIsXML(t *testing.T) {
	t.Parallel()
	words := "a\x00b\x1b[31m]]> <b> & \"q\" 'r' \xff\ufffe\nnext"
	r := testReport(one("trust-roots", SuiteTrust, fail("TRU001", "%s", words).with("see", words).with("x", words), "west", "east", words),
		one("trust-x", SuiteTrust, warn("TRU006", "%s", words), "west", "east"))
	r.Substitutions = []string{words}
	doc := junit(t, r)
	conforms(t, doc)
	if bytes.ContainsAny(doc, "\x00\x1b") || !bytes.Contains(doc, []byte("next")) {
		t.Errorf("control characters are left in:\n%q", doc)
	}
}

// everything is the report of a healthy world with every suite.
func everything(t *testing.T, breakIt func(*World)) *Report {
	t.Helper()
	w, _ := healthy(t)
	breakIt(w)
	var all []Result
	for _, c := range selected(Suites(), Probing) {
		all = append(all, c.run(w)...)
	}
	r := newReport(w.Topology, w.Clusters, Suites(), all)
	r.Tool, r.StartedAt = "0.1.0", time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	return r
}

func TestNamesAreTheSameWhateverIsSeen(t *testing.T) {
	t.Parallel()
	full, _ := healthy(t)
	want := conforms(t, junit(t, everything(t, func(*World) {})))
	reason := diag.Hint(errors.New("making cluster west: no space left on device"), "free 20 GiB")
	for name, r := range map[string]*Report{
		"nothing was run": NotRun(full.Topology, Options{Suites: Suites(), Disruptive: true}, reason),
		"other pods": everything(t, func(w *World) {
			c := w.Controls["west"]
			c.Replicas[0].Pod = "istiod-2"
			g := w.Gateways["west"]
			g.Replicas[0].Pod = "gw-2"
		}),
		"a cluster is out of reach": everything(t, func(w *World) {
			b := blind(w.Topology, w.Clusters, "connection refused")
			for _, c := range []string{"east"} {
				w.Signers[c], w.Roots[c], w.Controls[c], w.Nodes[c] = b.Signers[c], b.Roots[c], b.Controls[c], b.Nodes[c]
				w.Gateways[c], w.Probes[c], w.Views[c] = b.Gateways[c], b.Probes[c], b.Views[c]
			}
		}),
	} {
		if diff := cmp.Diff(want, conforms(t, junit(t, r))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNotRun(t *testing.T) {
	t.Parallel()
	reason := diag.Hint(errors.New("making cluster west: no space left on device"), "free 20 GiB")
	r := NotRun(testTopology(), Options{Suites: []string{SuiteTrust, SuiteFailover, "unknown"}}, reason)
	if r.ExitCode() != ExitInconclusive || !slices.Equal(r.Suites, []string{SuiteTrust, SuiteFailover}) || r.StartedAt.IsZero() {
		t.Errorf("exit code %d, suites %v", r.ExitCode(), r.Suites)
	}
	for _, c := range r.Checks {
		if c.Status != Inconclusive || c.Message != "making cluster west: no space left on device; free 20 GiB" {
			t.Errorf("%s %s", c.Status, c.Line())
		}
	}
	for _, suite := range r.Suites {
		for _, p := range pairs(r.Clusters) {
			if got, _ := r.Tally().Cell(suite, p.From, p.To); got != Inconclusive {
				t.Errorf("%s %s is %s", suite, p, got)
			}
		}
	}
	top := testTopology()
	top.Spec.Clusters = append(top.Spec.Clusters, topology.Cluster{Name: "north"})
	if r := NotRun(top, Options{Clusters: []string{"west", "north"}}, nil); !slices.Equal(r.Clusters, []string{"west", "north"}) || slices.Contains(r.Suites, SuiteFailover) || r.Summary[Inconclusive] == 0 {
		t.Errorf("clusters %v, suites %v, %v", r.Clusters, r.Suites, r.Summary)
	}
	if r := NotRun(&topology.Topology{}, Options{}, nil); r.ExitCode() != ExitInconclusive {
		t.Errorf("no clusters: exit code %d", r.ExitCode())
	}
}

// TestNotRunHasTheRowsOfARun: a dashboard keeps its rows, and gets no others.
func TestNotRunHasTheRowsOfARun(t *testing.T) {
	t.Parallel()
	names := func(r *Report) []string {
		all := slices.Clone(r.Suites)
		for _, suite := range r.Suites {
			for _, row := range r.rows(suite) {
				all = append(all, row.name)
			}
		}
		slices.Sort(all)
		return all
	}
	for _, o := range []Options{{Failover: true, within: soon}, {Suites: []string{SuiteDiscovery}}, {Access: Reading}, {Access: Passive}} {
		f := newFakeMesh(t)
		f.mesh.Outside = append(f.mesh.Outside, outsider(OutsideContainer, nil))
		ran, err := Run(t.Context(), f.mesh, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names(ran), names(NotRun(f.mesh.Topology, o, nil))); diff != "" {
			t.Errorf("%+v (-ran +not run):\n%s", o, diff)
		}
	}
}

func TestReportsSayWhenTheyCanNotBeWritten(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	for name, write := range map[string]func(io.Writer) error{"JUnit": mixed().JUnit, "Markdown": mixed().Markdown} {
		if err := write(failing{full}); !errors.Is(err, full) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", f.err) }

func TestDetailIsForPeople(t *testing.T) {
	t.Parallel()
	got := fail("TRU001", "two roots").with("see", "kubectl get x").with("have", []string{"a"}).between("west", "east").detail()
	if want := "fail: west -> east: two roots [TRU001]\nsee: kubectl get x\nhave: [\"a\"]"; got != want && !strings.Contains(got, "see: kubectl get x\nhave: [\"a\"]") {
		t.Errorf("%q", got)
	}
}
