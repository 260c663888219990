// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/watch"
	"github.com/meshfed/meshfed/test/promhost"
	"github.com/meshfed/meshfed/verify"
)

// pairReport is a report of one pair, both ways.
func pairReport(there, back verify.Status) *verify.Report {
	result := func(from, to string, s verify.Status) verify.Result {
		return verify.Result{ID: "discovery-answers", Suite: "discovery", From: from, To: to, Status: s}
	}
	return &verify.Report{Topology: "usmesh", StartedAt: time.Now(), Clusters: []string{"west", "east"}, Suites: []string{"discovery"},
		Checks: []verify.Result{result("west", "east", there), result("east", "west", back)},
		Facts: []verify.ClusterFacts{{Cluster: "west", Leaf: &verify.CertificateFact{NotAfter: time.Now().Add(time.Hour - time.Minute)},
			Root: &verify.CertificateFact{NotAfter: time.Now().AddDate(1, 0, 0)}}}}
}

// TestAlertsFireInPrometheus scrapes a watch's endpoint and a prober on loopback: an alert fires for
// the pair that breaks and for no other, and ends when it is mended; and a prober that goes away is
// missed.
func TestAlertsFireInPrometheus(t *testing.T) {
	t.Parallel()
	promhost.Find(t, "prometheus")
	metrics := watch.NewMetrics()
	listener, err := watch.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = watch.Serve(t.Context(), listener, watch.Handler(metrics, time.Minute, time.Now(), time.Now))
	}()
	metrics.Observe(pairReport(verify.Pass, verify.Pass), verify.Traffic{}, nil, time.Now())
	probers := map[string]string{"west": unused(t), "east": unused(t)}
	running, stop := map[string]context.CancelFunc{}, make(chan error, 2)
	for from, to := range map[string]string{"west": "east", "east": "west"} {
		ctx, cancel := context.WithCancel(t.Context())
		running[from] = cancel
		o := probe.ProberOptions{Cluster: from, Peers: []string{to}, URL: "http://127.0.0.1:1/%s", Identity: "spiffe://t/%s", Interval: time.Second}
		go func() { stop <- probe.RunProber(ctx, probe.Answer{Pod: "p"}, o, "127.0.0.1:0", probers[from]) }()
	}
	p := promhost.Start(t, Rules, map[string][]string{"meshfed-watch": {listener.Addr().String()}, "meshfed-probers": {probers["west"], probers["east"]}})
	p.Until("to have scraped all", func() bool { return len(p.Samples(`meshfed_check_status`)) == 4 })
	p.Until("to tell of the leaf", func() bool { return len(p.Firing("MeshfedExpiresSoon")) == 1 })
	if got := p.Firing("MeshfedExpiresSoon")[0]; got["kind"] != "leaf" {
		t.Errorf("%v expires soon", got)
	}
	if got := p.Samples(`ALERTS{alertname="MeshfedPairBroken",suite="discovery"}`); len(got) > 0 {
		t.Errorf("in a whole mesh: %v", got)
	}

	metrics.Observe(pairReport(verify.Fail, verify.Pass), verify.Traffic{}, nil, time.Now())
	broken := func() (watched []map[string]string) {
		for _, a := range p.Firing("MeshfedPairBroken") {
			if a["suite"] == "discovery" {
				watched = append(watched, a)
			}
		}
		return watched
	}
	p.Until("to alert of the pair", func() bool { return len(broken()) > 0 })
	if got := broken(); len(got) != 1 || got[0]["from"] != "west" || got[0]["to"] != "east" || got[0]["severity"] != "critical" {
		t.Errorf("broken: %v", got)
	}
	metrics.Observe(pairReport(verify.Pass, verify.Pass), verify.Traffic{}, nil, time.Now())
	p.Until("to end the alert", func() bool { return len(broken()) == 0 })

	if got := p.Firing("MeshfedProberSilent"); len(got) > 0 {
		t.Errorf("both probers speak: %v", got)
	}
	running["east"]()
	if err := <-stop; err != nil {
		t.Fatal(err)
	}
	p.Until("to miss the prober", func() bool { return len(p.Firing("MeshfedProberSilent")) > 0 })
	if got := p.Firing("MeshfedProberSilent"); len(got) != 1 || got[0]["cluster"] != "east" {
		t.Errorf("silent: %v", got)
	}
	p.Until("to tell of the target", func() bool { return len(p.Firing("MeshfedTargetDown")) == 1 })
}

func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
