// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/verify"
)

// TestReportsThatCanNotBe: refused before anything is done.
func TestReportsThatCanNotBe(t *testing.T) {
	h := newHost(t)
	h.bundle()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "folder.json"), 0o700))
	path := file(t, portless)
	for _, verb := range []string{"up", "verify"} {
		for report, says := range map[string][]string{
			"x.pdf":                                {`there is none for ".pdf"`, "write .html, .svg, .md, .json or .xml"},
			"x.htm":                                {`there is none for ".htm"`},
			"report":                               {`there is none for ""`},
			dir + "/a/.b":                          {`there is none for`},
			filepath.Join(dir, "nosuch", "x.json"): {"there is no folder " + filepath.Join(dir, "nosuch"), "mkdir -p"},
			filepath.Join(dir, "folder.json"):      {"it is a folder"},
			"/proc/x.json":                         {"/proc can not be written to"},
		} {
			h.call(verb, "-f", path, "--report", report).hinted(t, wrong, says...)
		}
		asJSON(t, wrong, verb, "-f", path, "--report", "x.pdf", "--report", filepath.Join(dir, "x.xml"), "-o", "json")
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("it left %v", entries)
	}
	h.madeNothing()
}

// reportsOf are arguments for one report of each form, and a function that holds them against
// each other.
func reportsOf(t *testing.T) (args []string, check func(says string)) {
	t.Helper()
	dir := t.TempDir()
	path := func(extension string) string { return filepath.Join(dir, "report"+extension) }
	for _, extension := range []string{".json", ".xml", ".md", ".html", ".svg"} {
		args = append(args, "--report", path(extension))
	}
	return args, func(says string) {
		t.Helper()
		read := func(extension string) string {
			data, err := os.ReadFile(path(extension))
			must(t, err)
			_ = os.Remove(path(extension)) // the next run writes it anew
			return string(data)
		}
		var report verify.Report
		text := read(".json")
		if err := json.Unmarshal([]byte(text), &report); err != nil || report.Kind != verify.Kind || report.Topology != "usmesh" || len(report.Checks) == 0 {
			t.Errorf("%v: %s", err, text)
		}
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal([]byte(read(".xml")), &any); err != nil || !strings.HasPrefix(any.XMLName.Local, "testsuite") {
			t.Errorf("%v: %+v", err, any)
		}
		if markdown := read(".md"); !strings.Contains(markdown, "usmesh") {
			t.Errorf("%s", markdown)
		}
		if html := read(".html"); !strings.HasPrefix(html, "<!DOCTYPE html>") || !strings.Contains(html, "usmesh") || !strings.Contains(html, template.HTMLEscapeString(says)) {
			t.Errorf("%s", html)
		}
		if err := xml.Unmarshal([]byte(read(".svg")), &any); err != nil || any.XMLName.Local != "svg" {
			t.Errorf("%v: %+v", err, any)
		}
		if !strings.Contains(text, says) {
			t.Errorf("it does not say %q:\n%s", says, text)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left beside the reports: %v, %v", left, err)
		}
	}
}

// TestReportsOfAFailure: a CI system gets its reports also when nothing could be verified, and
// the exit code stays that of the failure.
func TestReportsOfAFailure(t *testing.T) {
	h := newHost(t)
	reports, check := reportsOf(t)
	for _, verb := range []string{"up", "verify"} {
		h.fails("info", "Error: cannot open the storage database")
		h.call(append([]string{verb, "-f", example}, reports...)...).hinted(t, failed, "cannot open the storage database")
		check("cannot open the storage database")
		h.answer("info", podmanInfo)
	}
	h.call(append([]string{"verify", "-f", example}, reports...)...).refused(t, failed, "the cluster does not exist")
	check("the cluster does not exist")
	h.bundle()
	h.answer("network-create", "")
	h.fails("network-create", "Error: netavark is broken")
	h.call(append([]string{"up", "-f", file(t, portless)}, reports...)...).hinted(t, failed, "netavark is broken")
	check("netavark is broken")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := callWith(t, ctx, append([]string{"verify", "-f", example, "--state-dir", h.state}, reports...)...); r.code != diag.ExitInterrupted {
		t.Errorf("%+v", r)
	}
	check("")
}

// TestNamesOfReportsAreStable: a failure before verify has the suites of a run.
func TestNamesOfReportsAreStable(t *testing.T) {
	h := newHost(t)
	h.fails("info", "Error: cannot open the storage database")
	path := filepath.Join(t.TempDir(), "x.json")
	all := verify.Suites()
	most := slices.DeleteFunc(verify.Suites(), func(s string) bool { return s == verify.SuiteFailover })
	for _, test := range []struct {
		line string
		want []string
	}{
		{"verify", all},
		{"verify --suite trust", []string{"trust"}},
		{"up", most},
		{"up --verify full", all},
		{"up --verify full --set spec.verify.suites=[\"weights\"]", []string{"weights"}},
	} {
		h.call(append(strings.Fields(test.line), "-f", example, "--report", path)...).refused(t, failed)
		data, err := os.ReadFile(path)
		must(t, err)
		var report verify.Report
		if err := json.Unmarshal(data, &report); err != nil || !slices.Equal(report.Suites, test.want) || report.Tool == "" {
			t.Errorf("%s: %v: suites %q, want %q", test.line, err, report.Suites, test.want)
		}
	}
}

// TestNoReportsOfMistakes: a file that is wrong has no checks to name.
func TestNoReportsOfMistakes(t *testing.T) {
	h := newHost(t)
	path := filepath.Join(t.TempDir(), "x.json")
	for _, args := range [][]string{{"-f", "nosuch.yaml"}, {"-f", example, "--clusters", "nosuch"}, {"-f", example, "--suite", "nosuch"}} {
		h.call(append([]string{"verify", "--report", path}, args...)...).refused(t, wrong)
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: a report was written", args)
		}
	}
}

// TestReportKeepsSecrets: what goes wrong may quote a key; the report must not.
func TestReportKeepsSecrets(t *testing.T) {
	t.Parallel()
	_, token, seen := planted(t)
	a, m, _ := newStandIns(t)
	for _, extension := range []string{".json", ".xml", ".md", ".html"} {
		a.reports = append(a.reports, filepath.Join(t.TempDir(), "x"+extension))
	}
	must(t, a.writeReports(nil, m.Topology, errors.New("the engine says "+token)))
	for _, path := range a.reports {
		data, err := os.ReadFile(path)
		must(t, err)
		lookFor(t, path, string(data), seen)
		if !strings.Contains(string(data), "the engine says") {
			t.Errorf("%s does not say why:\n%s", path, data)
		}
	}
}

// TestReportOfAQuietUp: an `up` that has nothing to do rests on the last proof, and reports that.
func TestReportOfAQuietUp(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t)
	base, path := t.TempDir(), filepath.Join(t.TempDir(), "x.json")
	a.stateDir, a.topology, a.reports, a.begun = base, m.Topology, []string{path}, true
	dir, err := state.Open(base, "usmesh")
	must(t, err)
	written := func() (report verify.Report) {
		t.Helper()
		must(t, a.finishReports(nil))
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, json.Unmarshal(data, &report))
		return report
	}
	if report := written(); report.Summary[verify.Pass] != 0 || !strings.Contains(report.Checks[0].Message, "nothing was verified") {
		t.Errorf("without a proof: %+v", report)
	}
	must(t, dir.SetLastVerify(verify.Report{Topology: "usmesh", Tool: "as recorded", Checks: []verify.Result{{ID: "x", Status: verify.Pass}}}))
	if report := written(); report.Tool != "as recorded" || len(report.Checks) != 1 {
		t.Errorf("with one: %+v", report)
	}
	a.report = &verify.Report{Tool: "of this run"}
	if report := written(); report.Tool != "of this run" {
		t.Errorf("with one of this run: %+v", report)
	}
}

// TestReportThatCanNotBeWrittenInTheEnd is an error, and hides no other.
func TestReportThatCanNotBeWrittenInTheEnd(t *testing.T) {
	t.Parallel()
	a, m, _ := newStandIns(t)
	a.topology, a.reports, a.begun = m.Topology, []string{filepath.Join(t.TempDir(), "gone", "x.json")}, true
	if err := a.finishReports(nil); diag.ExitCode(err) != failed || !strings.Contains(err.Error(), "writing report") {
		t.Errorf("%v", err)
	}
	err := a.finishReports(quietExit(unhealthy))
	if diag.ExitCode(err) != unhealthy || audible(err) == nil || !strings.HasPrefix(audible(err).Error(), "writing report") {
		t.Errorf("%v", err)
	}
	cause := errors.New("the cause")
	if err := a.finishReports(cause); !errors.Is(err, cause) || diag.ExitCode(err) != failed {
		t.Errorf("%v", err)
	}
}

// TestOneObjectOnStdout: where a result was printed, an error beside it is for people.
func TestOneObjectOnStdout(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "json"} {
		a, _, _ := newStandIns(t)
		a.output = format
		code := a.exit(errors.Join(errors.New("the probes are left"), quietExit(unhealthy)))
		if stdout, stderr := a.printed(); code != unhealthy || stdout != "" || stderr != "error: the probes are left\n" {
			t.Errorf("%s: exit code %d, %q, %q", format, code, stdout, stderr)
		}
		if a.exit(quietExit(unhealthy)) != unhealthy || a.exit(nil) != 0 {
			t.Errorf("%s: exit codes", format)
		}
		if stdout, stderr := a.printed(); stdout != "" || stderr != "error: the probes are left\n" {
			t.Errorf("%s: silence is %q, %q", format, stdout, stderr)
		}
	}
}
