// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// proberSuite is the suite of a prober's row, beside those of verify.
const proberSuite = "prober"

// Values of meshfed_check_status: those of verify --watch.
const (
	statusPass    = 0
	statusUnknown = 2
	statusFail    = 3
)

// row is one prober's row of the matrix, served in Prometheus' text form (version 0.0.4).
type row struct {
	options ProberOptions
	stuck   time.Duration
	now     func() time.Time
	started time.Time

	mu    sync.Mutex
	cells map[string]*cell
}

// cell is what is known of one peer.
type cell struct {
	last    seen
	asked   time.Time
	success time.Time
	took    time.Duration
	counts  map[string]int
}

func newRow(o ProberOptions) *row {
	r := &row{options: o, stuck: 3*o.Interval + 2*proberTimeout, now: time.Now, started: time.Now(), cells: map[string]*cell{}}
	for _, peer := range o.Peers {
		r.cells[peer] = &cell{counts: map[string]int{}}
	}
	return r
}

// set takes over how a request ended.
func (r *row) set(peer string, s seen, began, ended time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cells[peer]
	c.last, c.asked, c.took = s, ended, ended.Sub(began)
	c.counts[s.outcome]++
	if s.outcome == outcomeAnswered {
		c.success = ended
	}
}

func (c *cell) status() int {
	switch c.last.outcome {
	case "":
		return statusUnknown
	case outcomeAnswered:
		return statusPass
	}
	return statusFail
}

// ServeHTTP answers /metrics, /readyz, and /healthz (503 when no request ended for long: a broken
// peer is no broken prober).
func (r *row) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, r.text()) // who asked has gone: nothing to be done
	case "/readyz":
		_, _ = io.WriteString(w, "ok\n")
	case "/healthz":
		if silent := r.silent(); silent > r.stuck {
			http.Error(w, fmt.Sprintf("no request ended for %s", silent.Round(time.Second)), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	default:
		http.NotFound(w, req)
	}
}

// silent is how long the peer that was asked the longest ago was not asked.
func (r *row) silent() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var longest time.Duration
	for _, c := range r.cells {
		last := c.asked
		if last.IsZero() {
			last = r.started
		}
		longest = max(longest, r.now().Sub(last))
	}
	return longest
}

// text is all metrics, in a fixed order.
func (r *row) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	peers := slices.Sorted(maps.Keys(r.cells))
	var b strings.Builder
	metric := func(name, kind, help string, each func(peer string, c *cell, sample func(value float64, labels ...string))) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		for _, peer := range peers {
			each(peer, r.cells[peer], func(value float64, labels ...string) {
				fmt.Fprintf(&b, "%s{from=%s,to=%s", name, label(r.options.Cluster), label(peer))
				for i := 0; i+1 < len(labels); i += 2 {
					fmt.Fprintf(&b, ",%s=%s", labels[i], label(labels[i+1]))
				}
				fmt.Fprintf(&b, "} %g\n", value)
			})
		}
	}
	metric("meshfed_check_status", "gauge", "Last request to a peer: 0 answered by its prober over mutual TLS, 2 not asked yet, 3 anything else.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			sample(float64(c.status()), "suite", proberSuite)
		})
	metric("meshfed_check_last_success_timestamp_seconds", "gauge", "When the peer last answered as it should.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			if !c.success.IsZero() {
				sample(stamp(c.success), "suite", proberSuite)
			}
		})
	metric("meshfed_prober_request_seconds", "gauge", "How long the last request took, whatever came of it.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			if !c.asked.IsZero() {
				sample(c.took.Seconds())
			}
		})
	metric("meshfed_prober_asked_timestamp_seconds", "gauge", "When the last request to the peer ended.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			if !c.asked.IsZero() {
				sample(stamp(c.asked))
			}
		})
	metric("meshfed_prober_requests_total", "counter", "Requests by how they ended.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			for _, outcome := range slices.Sorted(maps.Keys(c.counts)) {
				sample(float64(c.counts[outcome]), "outcome", outcome)
			}
		})
	metric("meshfed_prober_peer_info", "gauge", "Who answered last: its pod and the SPIFFE ID that it presented; always 1.",
		func(_ string, c *cell, sample func(float64, ...string)) {
			if c.last.answer.Pod != "" {
				sample(1, "identity", c.last.answer.Presented, "pod", c.last.answer.Pod)
			}
		})
	return b.String()
}

// label quotes a label's value as the text form wants it.
func label(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value) + `"`
}

func stamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
