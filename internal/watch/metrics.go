// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshfed/meshfed/verify"
)

// statusValue is how a status is exported, the worst highest.
func statusValue(s verify.Status) float64 {
	return float64(slices.Index([]verify.Status{verify.Skip, verify.Pass, verify.Warn, verify.Inconclusive, verify.Fail}, s) - 1)
}

// desc describes a metric; the names are a contract.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("meshfed_"+name, help, labels, nil)
}

// descs are all metrics of a watch.
type descs struct {
	status, success, expiry, failover, failoverAt, answers, round, took, requests, handshakes, info *prometheus.Desc
}

func newDescs() descs {
	return descs{
		status:     desc("check_status", "Worst result of a suite for a pair: -1 skip, 0 pass, 1 warn, 2 inconclusive, 3 fail.", "suite", "from", "to"),
		success:    desc("check_last_success_timestamp_seconds", "When the suite last passed, warnings allowed, for the pair.", "suite", "from", "to"),
		expiry:     desc("expiry_timestamp_seconds", "When a certificate or credential ends; kind is root, intermediate, leaf or remote-secret.", "kind", "cluster", "peer"),
		failover:   desc("failover_seconds", "Time to steady answers from the peer in the last report with the suite failover.", "from", "to", "variant"),
		failoverAt: desc("failover_measured_timestamp_seconds", "When the report was begun that meshfed_failover_seconds is of."),
		answers:    desc("watch_cluster_answers", "1 for a cluster that could be asked in the last round, 0 for one that did not answer.", "cluster"),
		round:      desc("watch_round_timestamp_seconds", "When the last round was over."),
		took:       desc("watch_round_duration_seconds", "How long the last round took."),
		requests:   desc("watch_requests_total", "Requests that callers sent to probes, at most one a second from each cluster.", "from"),
		handshakes: desc("watch_handshakes_total", "TLS handshakes with probes, one for each pair and round.", "from"),
		info:       desc("watch_info", "The program and the topology that is watched; always 1.", "version", "topology"),
	}
}

// pair is what most metrics are about.
type pair struct{ suite, from, to string }

// Metrics holds the last report and gives it to Prometheus. What a report does not have any more, is
// not exported any more.
type Metrics struct {
	descs

	mu       sync.Mutex
	report   *verify.Report
	failover *verify.Report
	sent     verify.Traffic
	success  map[pair]time.Time
	ended    time.Time
}

// NewMetrics has nothing to export but what is there from the first report on.
func NewMetrics() *Metrics { return &Metrics{descs: newDescs(), success: map[pair]time.Time{}} }

// Observe takes the report of a round, what was sent so far, and the last report with the suite
// failover, which a watch does not run; nil without one. now is when the round was over.
func (m *Metrics) Observe(report *verify.Report, sent verify.Traffic, failover *verify.Report, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report, m.sent, m.failover, m.ended = report, sent, failover, now
	eachPair(report, func(p pair, status verify.Status) {
		if status == verify.Pass || status == verify.Warn {
			m.success[p] = report.StartedAt
		}
	})
}

// eachPair goes through the matrix.
func eachPair(r *verify.Report, do func(pair, verify.Status)) {
	tally := r.Tally()
	for _, suite := range r.Suites {
		for _, from := range r.Clusters {
			for _, to := range r.Clusters {
				if from != to {
					status, _ := tally.Cell(suite, from, to)
					do(pair{suite, from, to}, status)
				}
			}
		}
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.status, m.descs.success, m.expiry, m.descs.failover, m.failoverAt, m.answers, m.round, m.took, m.requests, m.handshakes, m.info} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	eachPair(m.report, func(p pair, status verify.Status) {
		gauge(m.status, statusValue(status), p.suite, p.from, p.to)
		if at, ok := m.success[p]; ok {
			gauge(m.descs.success, seconds(at), p.suite, p.from, p.to)
		}
	})
	for _, f := range m.report.Facts {
		collectExpiry(f, func(kind, peer string, ends time.Time) { gauge(m.expiry, seconds(ends), kind, f.Cluster, peer) })
	}
	if m.failover != nil {
		for _, c := range m.failover.Checks {
			if took, ok := c.Evidence["steadySeconds"].(float64); ok && c.ID == "failover-switch" {
				gauge(m.descs.failover, took, c.From, c.To, c.Variant)
			}
		}
		gauge(m.failoverAt, seconds(m.failover.StartedAt))
	}
	for _, c := range m.report.Members {
		answers := 1.0
		if c.Silent != "" {
			answers = 0
		}
		gauge(m.answers, answers, c.Name)
	}
	gauge(m.round, seconds(m.ended))
	gauge(m.took, m.report.DurationSeconds)
	for from, n := range m.sent.Requests {
		ch <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n), from)
	}
	for from, n := range m.sent.Handshakes {
		ch <- prometheus.MustNewConstMetric(m.handshakes, prometheus.CounterValue, float64(n), from)
	}
	gauge(m.info, 1, m.report.Tool, m.report.Topology)
}

// collectExpiry tells what of a cluster ends, and when; what is not known is left out.
func collectExpiry(f verify.ClusterFacts, tell func(kind, peer string, ends time.Time)) {
	for _, c := range []struct {
		kind string
		fact *verify.CertificateFact
	}{{"root", f.Root}, {"intermediate", f.Intermediate}, {"leaf", f.Leaf}} {
		if c.fact != nil {
			tell(c.kind, "", c.fact.NotAfter)
		}
	}
	for _, c := range f.RemoteSecrets {
		if !c.Expires.IsZero() {
			tell("remote-secret", c.Peer, c.Expires)
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
