// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const (
	// shareRequests judge a share, someRequests only presence.
	shareRequests = 200
	someRequests  = 40
	// loadWithin bounds a load in a mesh where requests hang.
	loadWithin = 8 * time.Second
	// wireWithin is how long a chain that was not served is looked for again.
	wireWithin = 4 * time.Second
	// countedAtOnce bounds the counted loads of one observation that go on side by side: those of
	// three clusters, of which each calls the even service and the heavy one of each. Twenty would
	// send 420 loads at once, and requests would wait for the machine until time is up.
	countedAtOnce = 12
	// loadParallel callers within one load.
	loadParallel = 8
	// requestTimeout is the deadline of the calling application.
	requestTimeout = 2 * time.Second
	// patience is its deadline where time is not the question.
	patience = 5 * time.Second
)

// observeLoads sends the counted loads, those of a few clusters all at once.
func (s *session) observeLoads(ctx context.Context) {
	began := time.Now()
	var wg sync.WaitGroup
	send := func(count int, services []string, facts ...Fact) {
		wg.Go(func() {
			loads := s.loads(ctx, count, services)
			for _, fact := range facts {
				s.record(fact, began, func(w *World) {
					if w.Loads == nil {
						w.Loads = map[LoadKey]Load{}
					}
					maps.Copy(w.Loads, loads)
				})
			}
		})
	}
	if s.want[FactLocal] {
		send(someRequests, []string{serviceLocal}, FactLocal)
	}
	switch {
	case s.want[FactShares]: // one observation serves both suites
		services := []string{serviceEven}
		for _, c := range s.world.Clusters {
			services = append(services, serviceHeavy(c))
		}
		send(shareRequests, services, FactShares, FactEven)
	case s.want[FactEven]:
		send(someRequests, []string{serviceEven}, FactEven)
	}
	wg.Wait()
}

// loads sends one load from each cluster to each service.
func (s *session) loads(ctx context.Context, count int, services []string) map[LoadKey]Load {
	var mu sync.Mutex
	all := map[LoadKey]Load{}
	var g errgroup.Group
	g.SetLimit(countedAtOnce)
	for _, from := range s.world.Clusters {
		for _, svc := range services {
			g.Go(func() error {
				l := s.load(ctx, from, svc, count)
				mu.Lock()
				defer mu.Unlock()
				all[LoadKey{from, svc}] = l
				return nil
			})
		}
	}
	_ = g.Wait() // each load keeps its own problem
	return all
}

// load sends one load. One of which requests were lost is sent again, once and while there is time: a
// machine is slow for a moment, and what is broken loses them again.
func (s *session) load(ctx context.Context, from, svc string, count int) Load {
	m := s.members[from]
	h := host(m.namespace, svc)
	began, before := time.Now(), 0
	for again := false; ; again = true {
		l := Load{Problem: m.why(), Host: h, Answers: map[string]int{}, LostBefore: before}
		if l.Problem != "" {
			return l
		}
		rep, err := ask[probe.RunReport](ctx, m, roleCaller, "POST", "/run", probe.RunRequest{
			URL: address(h, pathOpen), Count: count, Parallel: loadParallel, Duration: loadWithin, Timeout: patience,
		})
		if err != nil {
			l.Problem = sentence(err)
			return l
		}
		l.count(s, rep)
		if l.Lost == 0 || again || s.oneLook || time.Since(began) >= loadWithin {
			return l
		}
		before = l.Lost
	}
}

func address(host, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, probe.PortApp, path)
}

// observeWire has the outsider of each cluster look at the chain that each echo serves:
// through the gateway where networks differ, at the pod itself otherwise.
func (s *session) observeWire(ctx context.Context) {
	if !s.want[FactWire] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[topology.Pair]Wire{}
	var g errgroup.Group
	g.SetLimit(askedAtOnce)
	for _, from := range s.world.Clusters {
		for _, to := range s.world.Clusters {
			g.Go(func() error {
				wire := s.wire(ctx, from, to)
				mu.Lock()
				defer mu.Unlock()
				all[topology.Pair{From: from, To: to}] = wire
				return nil
			})
		}
	}
	_ = g.Wait() // each keeps its own problem
	s.record(FactWire, began, func(w *World) { w.Wire = all })
}

func (s *session) wire(ctx context.Context, from, to string) Wire {
	w := Wire{
		SNI:  sni(probe.PortApp, host(s.world.Namespace, serviceOnly(to))),
		Want: fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", s.world.TrustDomain, s.world.Namespace, account(roleEcho)),
	}
	if w.Problem = or(s.members[from].why(), s.members[to].why()); w.Problem != "" {
		return w
	}
	echo := s.members[to].pod(roleEcho)
	switch {
	case s.world.apart(from, to):
		gateway := look(s, func(w *World) Gateway { return w.Gateways[to] })
		if len(gateway.Addresses) == 0 {
			w.Problem = or(gateway.Problem, "the east-west gateway has no address")
			return w
		}
		w.Addr = net.JoinHostPort(gateway.Addresses[0], strconv.Itoa(topology.PortCrossNetwork))
	case echo == nil:
		w.Problem = "there is no echo"
		return w
	default:
		w.Addr = net.JoinHostPort(echo.Status.PodIP, strconv.Itoa(probe.PortApp))
	}
	// What was not seen is looked for again: only a chain can be judged.
	_ = poll.Until(ctx, poll.Options{What: "a certificate", Interval: 500 * time.Millisecond, Deadline: cmp.Or(s.options.within, wireWithin)},
		func(context.Context) (bool, string, error) {
			w.Chain, w.Problem = s.served(ctx, from, w.Addr, w.SNI)
			return w.Problem == "" || s.oneLook, "not yet", nil
		})
	return w
}

// served is the chain that an outsider is served, or why it saw none.
func (s *session) served(ctx context.Context, from, address, sni string) ([]*x509.Certificate, string) {
	// The ALPN is what sidecars offer each other; gateways and sidecars match on it.
	rep, err := ask[probe.TLSReport](ctx, s.members[from], roleOutsider, "POST", "/tls", probe.TLSRequest{
		Addr: address, SNI: sni, ALPN: []string{"istio"}, Timeout: requestTimeout,
	})
	if err != nil {
		return nil, sentence(err)
	}
	if rep.Chain == "" {
		return nil, fmt.Sprintf("no certificate was served at %s: %s (%s)", address, rep.Error, clip(rep.Detail))
	}
	chain, err := certs.ParseCertificates([]byte(rep.Chain))
	if err != nil {
		return nil, sentence(err)
	}
	return chain, ""
}
