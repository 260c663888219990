// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/verify"
)

const (
	reportBefore = `{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "topology": "usmesh", "startedAt": "2026-11-29T08:00:00Z", "clusters": ["west", "east"], "suites": ["discovery"],
		"clusterFacts": [{"cluster": "west", "istiod": ["1.30.1"]}],
		"checks": [{"id": "discovery-answers", "suite": "discovery", "from": "west", "to": "east", "status": "pass", "message": "answered"}]}`
	reportAfter = `{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "topology": "usmesh", "startedAt": "2026-11-30T08:00:00Z", "clusters": ["west", "east"], "suites": ["discovery"],
		"summary": {"fail": 1, "pass": 3}, "clusterFacts": [{"cluster": "west", "istiod": ["1.31.0"]}],
		"checks": [{"id": "discovery-answers", "suite": "discovery", "from": "west", "to": "east", "status": "fail", "code": "FED001", "message": "west has no remote secret for east"}]}`
)

// TestBaselinesThatAreRefused: before a cluster is asked anything.
func TestBaselinesThatAreRefused(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	dir := t.TempDir()
	written := func(name, text string) string {
		at := filepath.Join(dir, name)
		must(t, os.WriteFile(at, []byte(text), 0o600))
		return at
	}
	for _, test := range []struct {
		baseline, says, hint string
		code                 int
	}{
		{"last", "there is no last report of usmesh to compare with", "meshfed verify", failed},
		{filepath.Join(dir, "none.json"), "no such file", "--report FILE.json", wrong},
		{written("plan.json", `{"apiVersion": "meshfed.io/v1alpha1", "kind": "Plan"}`), `its kind is "Plan", not VerifyReport`, "--report FILE.json", wrong},
		{written("half.json", reportBefore[:80]), "it is no JSON report", "--report FILE.json", wrong},
		{written("other.json", strings.Replace(reportBefore, "usmesh", "eumesh", 1)), "is of the topology eumesh, and this is usmesh", "of the same topology", wrong},
	} {
		h.call("verify", "-f", path, "--baseline", test.baseline).hinted(t, test.code, test.says, test.hint)
	}
	h.call("verify", "-f", path, "--regression", "2x").hinted(t, wrong, "--regression needs --baseline", "--baseline last")
	h.call("verify", "-f", path, "--baseline", "last", "--regression", "half").refused(t, wrong, `"half" is no factor`)
}

// TestLastBaseline: the report that the state directory keeps is the one of before.
func TestLastBaseline(t *testing.T) {
	h := newHost(t)
	dir, err := state.Open(h.state, "usmesh")
	must(t, err)
	must(t, dir.SetLastReport(json.RawMessage(strings.Replace(reportBefore, "usmesh", "eumesh", 1))))
	h.bundle()
	h.call("verify", "-f", file(t, portless), "--baseline", "last").hinted(t, wrong, "the baseline of the last verify is of the topology eumesh", "of the same topology")
}

// TestChangesPrinted: as a block, as JSON, and with the exit code of both.
func TestChangesPrinted(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	before, err := verify.ReadReport([]byte(reportBefore))
	must(t, err)
	after, err := verify.ReadReport([]byte(reportAfter))
	must(t, err)
	for _, form := range []string{"table", "json"} {
		var out bytes.Buffer
		a := &app{Streams: Streams{Out: &out, Err: &out}, output: form}
		b := baseline{report: before, limit: verify.DefaultRegression()}
		if code := a.exit(b.print(a, after)); code != unhealthy {
			t.Errorf("-o %s: exit code %d", form, code)
		}
		golden.Check(t, "testdata/changes/"+form+".txt", out.String())
	}
}
