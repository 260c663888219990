// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/internal/watch"
	"github.com/meshfed/meshfed/verify"
)

// TestWatchRefuses what does not go together, before a cluster is asked anything.
func TestWatchRefuses(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := file(t, portless)
	for _, test := range []struct {
		args       []string
		says, hint string
	}{
		{[]string{"--interval", "10s"}, "--interval is for --watch alone", "--watch"},
		{[]string{"--listen", ":1"}, "--listen is for --watch alone", "--watch"},
		{[]string{"--watch", "--interval", "1s"}, "--interval is 1s", "write 5s or more"},
		{[]string{"--watch", "--suite", "trust,failover"}, `the suite "failover" is not watched`, "without --watch"},
		{[]string{"--watch", "--passive"}, "--watch and --passive exclude each other", "leave one of the two out"},
		{[]string{"--watch", "--disruptive"}, "--watch and --disruptive exclude each other", "leave one of the two out"},
		{[]string{"--watch", "--live"}, "--watch and --live exclude each other", "leave one of the two out"},
		{[]string{"--watch", "--baseline", "last"}, "--watch and --baseline exclude each other", "leave one of the two out"},
	} {
		h.call(append([]string{"verify", "-f", path}, test.args...)...).hinted(t, wrong, test.says, test.hint)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	h.call("verify", "-f", path, "--watch", "--listen", taken.Addr().String()).hinted(t, failed, "address already in use", "--listen")
	h.madeNothing()
}

// TestAWatchThatDoesNotBeginReportsWhatItWouldWatch, and no other suite.
func TestAWatchThatDoesNotBeginReportsWhatItWouldWatch(t *testing.T) {
	h := newHost(t)
	h.bundle()
	path := filepath.Join(t.TempDir(), "watch.json")
	h.call("verify", "-f", file(t, portless), "--watch", "--listen", "", "--report", path).refused(t, failed)
	data, err := os.ReadFile(path)
	must(t, err)
	report, err := verify.ReadReport(data)
	must(t, err)
	if !slices.Equal(report.Suites, verify.WatchSuites()) {
		t.Errorf("it is of %v", report.Suites)
	}
}

// TestWatchPrintsChanges: what is wrong in the first round, then one line for each change, as text
// and as JSON; and the failover of the last report of this host is exported.
func TestWatchPrintsChanges(t *testing.T) {
	dir, err := state.Open(t.TempDir(), "usmesh")
	must(t, err)
	must(t, dir.SetLastReport(json.RawMessage(`{"apiVersion": "meshfed.io/v1alpha1", "kind": "VerifyReport", "topology": "usmesh", "clusters": ["west", "east"], "suites": ["failover"],
		"checks": [{"id": "failover-switch", "suite": "failover", "from": "west", "to": "east", "variant": "errors", "status": "pass", "evidence": {"steadySeconds": 3.1}}]}`)))
	good, err := verify.ReadReport([]byte(reportBefore))
	must(t, err)
	bad, err := verify.ReadReport([]byte(reportAfter))
	must(t, err)
	for _, form := range []string{"table", "json"} {
		var out, progress, log bytes.Buffer
		a := &app{Streams: Streams{Out: &out, Err: &progress}, output: form}
		w := &watcher{app: a, mesh: &plan.Mesh{State: dir}, log: &log, metrics: watch.NewMetrics(), interval: 30 * time.Second, listen: "127.0.0.1:9715"}
		for _, r := range []*verify.Report{bad, bad, good, good, bad} {
			w.round(r, verify.Traffic{})
		}
		if form == "table" {
			var words []string
			for line := range strings.Lines(out.String()) {
				stamp, rest, _ := strings.Cut(line, " ")
				if _, err := time.Parse(time.RFC3339, stamp); err != nil {
					t.Errorf("%q does not begin with a time", line)
				}
				words = append(words, strings.SplitN(rest, ":", 2)[0])
			}
			if got, want := strings.Join(words, ", "), "new failure, mended, changed, new failure, changed"; got != want {
				t.Errorf("printed %s, want %s:\n%s", got, want, out.String())
			}
		} else {
			var one struct {
				Kind, Topology, Change, ID, From, To, Code string
				At                                         time.Time
			}
			must(t, json.Unmarshal([]byte(strings.SplitAfter(out.String(), "\n")[0]), &one))
			if one.Kind != "VerifyChange" || one.Topology != "usmesh" || one.Change != "failed" || one.Code != "FED001" || one.At.IsZero() || strings.Count(out.String(), "\n") != 5 {
				t.Errorf("%+v of\n%s", one, out.String())
			}
		}
		if strings.Count(log.String(), "\n") != 5 || !strings.Contains(progress.String(), "watching usmesh every 30s") || !strings.Contains(progress.String(), "http://127.0.0.1:9715/metrics") {
			t.Errorf("log %q, progress %q", log.String(), progress.String())
		}
		if w.failover == nil || a.report != bad {
			t.Error("the last report, or that of failover, is not kept")
		}
	}
}
