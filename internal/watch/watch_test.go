// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/verify"
)

func result(id, suite, from, to string, status verify.Status, code string) verify.Result {
	return verify.Result{ID: id, Suite: suite, From: from, To: to, Status: status, Code: code, Message: "as it was seen"}
}

// round is a report at a minute of an hour: trust passes, and discovery is as given.
func round(minute int, discovery verify.Status) *verify.Report {
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	return &verify.Report{
		Topology: "usmesh", Tool: "0.1.0", StartedAt: day.Add(time.Duration(minute) * time.Minute), DurationSeconds: 4.5,
		Clusters: []string{"west", "east"}, Suites: []string{"trust", "discovery"}, Members: []verify.Member{{Name: "west"}, {Name: "east"}},
		Checks: []verify.Result{
			result("trust-roots", "trust", "west", "east", verify.Pass, ""), result("trust-roots", "trust", "east", "west", verify.Warn, "TRU006"),
			result("discovery-answers", "discovery", "west", "east", discovery, ""), result("discovery-answers", "discovery", "east", "west", verify.Pass, ""),
		},
		Facts: []verify.ClusterFacts{{Cluster: "west", Istiod: []string{"1.31.0"}, Root: &verify.CertificateFact{NotAfter: day.AddDate(10, 0, 0)},
			Intermediate: &verify.CertificateFact{NotAfter: day.AddDate(1, 0, 0)}, Leaf: &verify.CertificateFact{NotAfter: day.AddDate(0, 0, 1)},
			RemoteSecrets: []verify.CredentialFact{{Peer: "east", Expires: day.AddDate(0, 0, 30)}, {Peer: "north"}}}},
	}
}

func failover() *verify.Report {
	r := round(0, verify.Pass)
	r.Suites = append(r.Suites, "failover")
	switched := result("failover-switch", "failover", "west", "east", verify.Pass, "")
	switched.Variant, switched.Evidence = "errors", verify.Evidence{"steadySeconds": 3.1}
	never := result("failover-switch", "failover", "east", "west", verify.Fail, "LOC005")
	never.Variant, never.Evidence = "errors", verify.Evidence{"steadySeconds": nil}
	r.Checks = append(r.Checks, switched, never)
	return r
}

// page is what a handler answers.
func page(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	h := Handler(m, time.Minute, time.Now(), time.Now)
	if code, text := page(t, h, "/metrics"); code != http.StatusOK || strings.Contains(text, "meshfed_") {
		t.Errorf("before the first round: %d %s", code, text)
	}
	sent := verify.Traffic{Requests: map[string]int{"west": 4, "east": 3}, Handshakes: map[string]int{"west": 2, "east": 2}}
	m.Observe(round(1, verify.Pass), sent, failover(), time.Date(2026, 11, 30, 0, 1, 5, 0, time.UTC))
	_, text := page(t, h, "/metrics")
	golden.Check(t, "testdata/metrics.golden.txt", text)

	// The pair breaks: its status rises, and the moment of its last success stays.
	m.Observe(round(2, verify.Fail), sent, nil, time.Date(2026, 11, 30, 0, 2, 5, 0, time.UTC))
	_, text = page(t, h, "/metrics")
	golden.Check(t, "testdata/metrics-broken.golden.txt", text)

	// A cluster that is not watched any more is gone.
	alone := round(3, verify.Pass)
	alone.Clusters, alone.Checks, alone.Facts, alone.Members = []string{"west"}, nil, nil, alone.Members[:1]
	m.Observe(alone, verify.Traffic{}, nil, time.Now())
	if _, text = page(t, h, "/metrics"); strings.Contains(text, "east") {
		t.Errorf("east is still exported:\n%s", text)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	now := start
	m := NewMetrics()
	h := Handler(m, time.Minute, start, func() time.Time { return now })
	want := func(path string, code int, words string) {
		t.Helper()
		if got, text := page(t, h, path); got != code || !strings.Contains(text, words) {
			t.Errorf("%s at %s: %d %s", path, now.Sub(start), got, text)
		}
	}
	want("/healthz", 200, "ok")
	want("/readyz", 503, "the first round is not over")
	now = start.Add(8 * time.Minute)
	want("/healthz", 503, "no round was over for 8m0s")
	m.Observe(round(8, verify.Fail), verify.Traffic{}, nil, now)
	want("/healthz", 200, "ok") // a broken mesh is no broken watch
	silent := round(8, verify.Inconclusive)
	silent.Members[1].Silent = "looking at namespace meshfed-verify-watch: context deadline exceeded"
	m.Observe(silent, verify.Traffic{}, nil, now)
	want("/healthz", 200, "ok\neast does not answer: looking at namespace")
	want("/metrics", 200, `meshfed_watch_cluster_answers{cluster="east"} 0`)
	want("/metrics", 200, `meshfed_watch_cluster_answers{cluster="west"} 1`)
	want("/readyz", 200, "ok")
	now = now.Add(7 * time.Minute)
	want("/healthz", 200, "ok")
	now = now.Add(time.Second)
	want("/healthz", 503, "no round was over for 7m1s")
	if code, _ := page(t, h, "/"); code != http.StatusNotFound {
		t.Errorf("/: %d", code)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	l, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(ctx, l.Addr().String()); err == nil || len(diag.Hints(err)) == 0 {
		t.Errorf("a port that is taken: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, Handler(NewMetrics(), time.Minute, time.Now(), time.Now)) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
	var none *net.OpError
	if err := Serve(t.Context(), l, nil); !errors.As(err, &none) {
		t.Errorf("a closed listener: %v", err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	change := func(id, code string) verify.Change {
		return verify.Change{Kind: verify.Failed, ID: id, From: "west", To: "east", Code: code, Message: "no remote secret"}
	}
	var got []string
	for _, l := range Lines([]verify.Change{
		change("discovery-secret", "FED001"), change("discovery-synced", "FED001"), change("discovery-answers", "FED001"), change("trust-roots", "TRU001"),
		{Kind: verify.Replaced, To: "west", Message: "istiod of west is 1.31.0, was 1.30.1"}, {Kind: verify.Replaced, To: "west", Message: "the root of west is b, was a"},
		{Kind: verify.Mended, ID: "discovery-secret", From: "east", To: "west", Message: "it is there"}, {Kind: verify.Mended, ID: "discovery-synced", From: "east", To: "west"},
	}) {
		got = append(got, l.String())
	}
	want := []string{
		"new failure: discovery-secret west -> east: no remote secret [FED001] (and 2 more checks)",
		"new failure: trust-roots west -> east: no remote secret [TRU001]",
		"changed: istiod of west is 1.31.0, was 1.30.1",
		"changed: the root of west is b, was a",
		"mended: discovery-secret east -> west: it is there (and 1 more check)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
