// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// PortMetrics is where a prober serves metrics and health: beside the mesh, for who scrapes it
	// and for the kubelet.
	PortMetrics = 9716
	// LeastProbeInterval keeps a pair below two requests in a second.
	LeastProbeInterval = time.Second
	// proberTimeout is what a request may take before it counts as lost.
	proberTimeout = 5 * time.Second
)

// ProberAnswer is what the target of a prober answers with.
type ProberAnswer struct {
	Answer
	// Cluster is what the target says of itself; its certificate decides.
	Cluster string `json:"cluster"`
	// Presented and Caller are the SPIFFE IDs of the two ends of the connection, as the target's
	// sidecar has seen them; empty without mutual TLS.
	Presented string `json:"presented,omitempty"`
	Caller    string `json:"caller,omitempty"`
}

// ProberOptions are what a prober is told.
type ProberOptions struct {
	// Cluster that it runs in, and Peers that it asks.
	Cluster string
	Peers   []string
	// URL of a peer's target with %s for its name.
	URL string
	// Identity is the SPIFFE ID of a cluster's prober with %s for its name: one for each cluster,
	// so that who answered is known by certificate.
	Identity string
	// Interval between two requests to one peer.
	Interval time.Duration
}

// check refuses what could not work.
func (o ProberOptions) check() error {
	switch {
	case o.Cluster == "":
		return errors.New("-cluster says which cluster this is")
	case slices.Contains(o.Peers, o.Cluster):
		return fmt.Errorf("%s is no peer of itself", o.Cluster)
	case strings.Count(o.URL, "%s") != 1 || !strings.HasPrefix(o.URL, "http://"):
		return fmt.Errorf("-url %q is no http URL with one %%s for the peer's name", o.URL)
	case strings.Count(o.Identity, "%s") != 1 || !strings.HasPrefix(o.Identity, "spiffe://"):
		return fmt.Errorf("-identity %q is no SPIFFE ID with one %%s for the cluster's name", o.Identity)
	case o.Interval < LeastProbeInterval:
		return fmt.Errorf("-interval is %s, at least %s keeps a pair below two requests in a second", o.Interval, LeastProbeInterval)
	}
	return nil
}

// prober is the sub-command: the target that peers ask, and the one that asks them.
func prober(ctx context.Context, args []string, self Answer, stderr io.Writer) error {
	flags := flag.NewFlagSet("meshfed-probe prober", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o ProberOptions
	flags.StringVar(&o.Cluster, "cluster", "", "the cluster that it runs in")
	flags.StringVar(&o.URL, "url", "", "of a peer's target, with %s for its name")
	flags.StringVar(&o.Identity, "identity", "", "SPIFFE ID of a cluster's prober, with %s for its name")
	flags.DurationVar(&o.Interval, "interval", 10*time.Second, "between two requests to one peer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Peers = flags.Args()
	if err := o.check(); err != nil {
		return err
	}
	return RunProber(ctx, self, o, ":"+strconv.Itoa(PortApp), ":"+strconv.Itoa(PortMetrics))
}

// RunProber listens on both addresses, asks every peer again and again, and blocks until ctx ends
// or a server fails.
func RunProber(ctx context.Context, self Answer, o ProberOptions, appAddr, metricsAddr string) error {
	ctx, cancel := context.WithCancel(ctx)
	row := newRow(o)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, 2)
	for addr, handler := range map[string]http.Handler{appAddr: target(self, o.Cluster), metricsAddr: row} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", addr, err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		defer server.Close()
		go func() { failed <- server.Serve(listener) }()
	}
	for _, peer := range o.Peers {
		wg.Go(func() { o.ask(ctx, peer, row) })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	}
}

// target answers peers.
func target(self Answer, cluster string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := ProberAnswer{Answer: self, Cluster: cluster}
		a.Presented, a.Caller = peerOf(r.Header.Get(headerPeer))
		writeJSON(w, http.StatusOK, a)
	})
}

// ask sends one request after another until ctx ends. A slow answer delays the next request, so
// that there is never more than one under way for a pair.
func (o ProberOptions) ask(ctx context.Context, peer string, row *row) {
	client := proberClient()
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(o.Interval)
	defer ticker.Stop()
	for {
		began := time.Now()
		s := o.once(ctx, client, peer)
		if ctx.Err() != nil {
			return
		}
		row.set(peer, s, began, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// proberClient follows no redirect and asks no proxy of the environment.
func proberClient() *http.Client {
	return &http.Client{Transport: &http.Transport{}, CheckRedirect: stay}
}

// seen is how one request ended: outcome is "answered" or the class of what was wrong.
type seen struct {
	outcome string
	answer  ProberAnswer
}

// Outcomes of a prober's request beside the classes of Classify.
const (
	outcomeAnswered = "answered"
	// outcomeStatus: something else than a 200.
	outcomeStatus = "status"
	// outcomePlaintext: it answered, but no sidecar has authenticated anybody.
	outcomePlaintext = "plaintext"
	// outcomeIdentity: another certificate than that of the peer's prober, or this one was not
	// taken for what it is.
	outcomeIdentity = "identity"
)

func (o ProberOptions) once(ctx context.Context, client *http.Client, peer string) seen {
	ctx, cancel := context.WithTimeout(ctx, proberTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf(o.URL, peer), nil)
	if err != nil {
		return seen{outcome: ErrOther}
	}
	resp, err := client.Do(req)
	if err != nil {
		return seen{outcome: Classify(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return seen{outcome: Classify(err)}
	}
	var a ProberAnswer
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &a) != nil {
		return seen{outcome: outcomeStatus}
	}
	return seen{o.judge(peer, a), a}
}

// judge says whether an answer is that of the peer's prober over mutual TLS.
func (o ProberOptions) judge(peer string, a ProberAnswer) string {
	switch {
	case a.Presented == "" || a.Caller == "":
		return outcomePlaintext
	case a.Presented != fmt.Sprintf(o.Identity, peer), a.Caller != fmt.Sprintf(o.Identity, o.Cluster), a.Cluster != peer:
		return outcomeIdentity
	}
	return outcomeAnswered
}
