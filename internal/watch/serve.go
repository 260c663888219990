// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// stuckAfter is how long a round may take before the process counts as stuck, beside three times
// the interval: a round is bounded to three minutes.
const stuckAfter = 4 * time.Minute

// Handler answers /metrics, /healthz (503 when no round was over for three intervals and four
// minutes; clusters that do not answer are named, and no reason for it) and /readyz (503 until the first
// one is). started is when the watch began.
func Handler(m *Metrics, interval time.Duration, started time.Time, now func() time.Time) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		last := m.last()
		if last.IsZero() {
			last = started
		}
		if silent := now().Sub(last); silent > 3*interval+stuckAfter {
			http.Error(w, fmt.Sprintf("no round was over for %s", silent.Round(time.Second)), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
		for _, c := range m.silent() {
			_, _ = fmt.Fprintln(w, c)
		}
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if m.last().IsZero() {
			http.Error(w, "the first round is not over", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	return mux
}

// last is when a round was last over; zero before.
func (m *Metrics) last() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}

// silent names the clusters that did not answer in the last round, and says why.
func (m *Metrics) silent() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report == nil {
		return nil
	}
	var all []string
	for _, c := range m.report.Members {
		if c.Silent != "" {
			all = append(all, c.Name+" does not answer: "+run.Redact(c.Silent))
		}
	}
	return all
}

// Listen opens the address that Serve answers on. A hint says what to do when it is taken.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("listening for metrics: %w", err), "name another address with --listen, or none: --listen ''")
	}
	return l, nil
}

// Serve answers until ctx ends, and then closes the listener and every connection.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
