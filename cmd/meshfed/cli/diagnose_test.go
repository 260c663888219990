// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/verify"
)

func TestWhatDiagnoseSays(t *testing.T) {
	t.Parallel()
	secret := verify.Result{ID: "discovery-secret", Suite: "discovery", From: "west", To: "east", Status: verify.Fail, Code: "FED001", Message: "west has no remote secret for east"}
	reach := verify.Result{ID: "discovery-synced", Suite: "discovery", From: "west", To: "east", Status: verify.Fail, Code: "FED010", Message: "east is unknown"}
	old := verify.Result{ID: "trust-held-lifetime", Suite: "trust", To: "east", Status: verify.Warn, Code: "TRU007", Message: "a leaf outlives its issuer"}
	blind := verify.Result{ID: "trust-cacerts", Suite: "trust", To: "west", Status: verify.Inconclusive, Message: "cacerts of west could not be read: forbidden"}
	gone := verify.Result{ID: "discovery-sni", Suite: "discovery", To: "east", Status: verify.Fail, Code: "NET008", Message: "nothing answers"}
	fine := verify.Result{ID: "discovery-address", Suite: "discovery", To: "west", Status: verify.Pass, Message: "fine"}
	for name, tc := range map[string]struct {
		results []verify.Result
		code    int
		says    []string
	}{
		"healthy": {[]verify.Result{fine}, diag.ExitOK, []string{"✔ usmesh: nothing is found by 1 looks", "no request was sent"}},
		"a cause and what follows from it": {[]verify.Result{fine, reach, secret}, diag.ExitCheckFailed, []string{
			"✘ FED001 west has no remote secret for east. Run `meshfed up`", "✘ FED010 east is unknown (because of FED001 west>east)", "2 findings, of 1 cause"}},
		"a warning":             {[]verify.Result{fine, old}, diag.ExitOK, []string{"! TRU007 a leaf outlives", "1 finding, of 1 cause"}},
		"not all could be seen": {[]verify.Result{fine, blind}, diag.ExitInconclusive, []string{"? cacerts of west could not be read", "not all could be looked at"}},
		"a fault on purpose": {append([]verify.Result{fine, gone}, faultResults([]verify.Fault{{Cluster: "east", Object: "Deployment istio-system/istio-eastwestgateway", By: "process 7 on laptop"}})...),
			diag.ExitCheckFailed, []string{"process 7 on laptop", "✘ NET008 nothing answers (because of LOC011 east)", "2 findings, of 1 cause"}},
		"an error beside it": {[]verify.Result{fine, blind, secret}, diag.ExitCheckFailed, []string{"FED001", "? cacerts of west"}},
	} {
		report := &verify.Report{Topology: "usmesh", Clusters: []string{"west", "east"}, Checks: tc.results, Summary: map[verify.Status]int{}}
		for _, r := range tc.results {
			report.Summary[r.Status]++
		}
		findings := verify.Findings(report)
		if got := diagnosed(report, findings, report.Unseen()); got != tc.code {
			t.Errorf("%s: exit code %d, want %d", name, got, tc.code)
		}
		var out strings.Builder
		if err := ui.WriteBlock(&out, (&app{}).findingsBlock(report, findings, report.Unseen())); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range tc.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, out.String())
			}
		}
		if i, j := strings.Index(text, "FED001 west has"), strings.Index(text, "FED010 east"); j >= 0 && i > j {
			t.Errorf("%s: the cause does not come first:\n%s", name, out.String())
		}
	}
}
