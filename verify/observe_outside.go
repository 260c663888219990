// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
)

const (
	// outsideRequests bounds what one client sends through one ingress gateway, outsideTries
	// how many of them wait for the gateway to know its routes, outsideAgain how often a denial
	// is asked for.
	outsideRequests = 8
	outsideTries    = 5
	outsideAgain    = 2
	// outsideWithin bounds that wait, outsidePause is between two tries.
	outsideWithin = 10 * time.Second
	outsidePause  = time.Second
	// outsideParallel bounds the requests that are under way: each may be a container.
	outsideParallel = 8
	// outsideStart bounds one request with the start of its client.
	outsideStart = 20 * time.Second
)

// newZone is the domain of the host names under which ingress gateways know the probes for the
// time of one run. Nobody outside of it can guess them, and no DNS server has any (RFC 6761).
func newZone() string {
	return strings.ToLower(rand.Text()[:16]) + ".meshfed-verify.test"
}

// hostOutside is the name by which outsiders call the service of one cluster's echo.
func hostOutside(zone, cluster string) string { return serviceOnly(cluster) + "." + zone }

// observeOutside sends the requests of every outside client, through each ingress gateway and
// straight to the echo behind it.
func (s *session) observeOutside(ctx context.Context) {
	if !s.want[FactOutside] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[OutsideKey]Call{}
	keep := func(key OutsideKey, c Call) {
		mu.Lock()
		defer mu.Unlock()
		all[key] = c
	}
	var clients []string
	var g errgroup.Group
	g.SetLimit(outsideParallel)
	for _, o := range s.mesh.Outside {
		clients = append(clients, o.Name)
		for _, c := range s.world.Clusters {
			if why := s.unasked(o, c); why.Problem+why.Skipped != "" {
				for _, key := range outsideKeys(o.Name, c, s.world.peers(c)) {
					keep(key, why)
				}
				continue
			}
			for _, send := range []func(context.Context, Outside, string, func(OutsideKey, Call)){s.enter, s.straight} {
				g.Go(func() error {
					send(ctx, o, c, keep)
					return nil
				})
			}
		}
	}
	_ = g.Wait() // each call keeps its own problem
	for _, o := range s.mesh.Outside {
		if o.Done != nil {
			o.Done()
		}
	}
	s.record(FactOutside, began, func(w *World) { w.Outside, w.OutsideClients = all, clients })
}

// unasked says why one client sends nothing towards one cluster; the zero Call when it does.
func (s *session) unasked(o Outside, cluster string) Call {
	switch {
	case s.mesh.Topology.Cluster(cluster).Ingress == nil:
		return Call{Skipped: cluster + " has no ingress gateway in the topology"}
	case o.Unusable != "" || o.Get == nil:
		return Call{Skipped: fmt.Sprintf("there is no client on the %s: %s", o.Name, or(o.Unusable, "none was given"))}
	case o.URL[cluster] == "":
		return Call{Skipped: fmt.Sprintf("the %s has no way to the ingress gateway of %s", o.Name, cluster)}
	}
	return Call{Problem: s.members[cluster].why()}
}

// outsideKeys are all calls of one client towards one cluster.
func outsideKeys(client, cluster string, peers []string) []OutsideKey {
	var keys []OutsideKey
	for _, kind := range []CallKind{CallIngress, CallDenied, CallStrict, CallPermissive} {
		keys = append(keys, OutsideKey{client, cluster, cluster, kind})
	}
	for _, p := range peers {
		keys = append(keys, OutsideKey{client, cluster, p, CallIngress})
	}
	return keys
}

// enter sends the requests through one ingress gateway, one after the other: its own cluster's
// echo until the gateway knows the way, then what is denied there, then the echoes of peers.
func (s *session) enter(ctx context.Context, o Outside, cluster string, keep func(OutsideKey, Call)) {
	left := outsideRequests
	send := func(to, path string, tries int, told func(Call) bool) Call {
		c := Call{Target: strings.TrimSuffix(o.URL[cluster], "/") + path, Host: hostOutside(s.zone, to), Problem: s.members[to].why()}
		if c.Problem != "" {
			return c
		}
		if left == 0 {
			c.Skipped = fmt.Sprintf("at most %d requests of the %s go through one ingress gateway", outsideRequests, o.Name)
			return c
		}
		tries = min(tries, left)
		left -= s.fromOutside(ctx, o, &c, tries, told)
		return c
	}
	own := send(cluster, pathIngress, outsideTries, func(c Call) bool { return c.let(cluster) })
	keep(OutsideKey{o.Name, cluster, cluster, CallIngress}, own)
	if own.barred() {
		// Who denied it, the gateway or the workload, is told by what the workload lets everybody do.
		keep(OutsideKey{o.Name, cluster, cluster, CallEntered}, send(cluster, pathOpen, 1, kept))
	}
	keep(OutsideKey{o.Name, cluster, cluster, CallDenied}, send(cluster, pathPrivate, outsideAgain, kept))
	for _, peer := range s.world.peers(cluster) {
		tries := 1
		if own.let(cluster) {
			tries = outsideTries // what the peer's gateway knows may come later
		}
		keep(OutsideKey{o.Name, cluster, peer, CallIngress}, send(peer, pathIngress, tries, func(c Call) bool { return c.let(peer) }))
	}
}

// straight calls the echo's own address, which most networks keep from outsiders: first the
// port that would answer plaintext, then the one that must not.
func (s *session) straight(ctx context.Context, o Outside, cluster string, keep func(OutsideKey, Call)) {
	send := func(port, tries int) Call {
		echo := s.members[cluster].pod(roleEcho)
		if echo == nil || echo.Status.PodIP == "" {
			return Call{Problem: "there is no echo in " + cluster}
		}
		c := Call{Target: "http://" + net.JoinHostPort(echo.Status.PodIP, strconv.Itoa(port)) + pathOpen}
		s.fromOutside(ctx, o, &c, tries, kept)
		return c
	}
	open := send(probe.PortAppSecond, 1)
	keep(OutsideKey{o.Name, cluster, cluster, CallPermissive}, open)
	if open.let(cluster) {
		keep(OutsideKey{o.Name, cluster, cluster, CallStrict}, send(probe.PortApp, outsideAgain))
	}
}

// kept says whether a call that should be denied needs no further try: one that was lost says
// nothing.
func kept(c Call) bool { return c.Problem == "" && c.told() }

// fromOutside sends one request until told is satisfied, at most so many times, keeps what came
// last, and returns how many were sent.
func (s *session) fromOutside(ctx context.Context, o Outside, c *Call, tries int, told func(Call) bool) (sent int) {
	once := func() {
		// A client that takes long to start is no answer that is missing.
		starting, cancel := context.WithTimeout(ctx, outsideStart)
		defer cancel()
		answer, err := o.Get(starting, c.Target, c.Host)
		sent++
		s.sent.Add(1)
		c.Problem, c.Outcomes, c.Clusters, c.Foreign = "", nil, nil, ""
		if errors.Is(err, ErrNotSent) || ctx.Err() != nil {
			c.Problem = sentence(errors.Join(err, ctx.Err()))
			return
		}
		outcome := answer.outcome(err)
		c.Outcomes = []probe.Outcome{outcome}
		if outcome.OK() {
			c.Clusters = []string{s.answered(outcome)}
		}
		if answer.Status == http.StatusForbidden && !answer.byEnvoy() {
			c.Foreign = or(answer.header("server"), "something that does not say its name")
		}
	}
	// Time that is up is no error: what was seen last is judged.
	_ = poll.Until(ctx, poll.Options{What: "an answer to the " + o.Name, Interval: outsidePause, Deadline: cmp.Or(s.options.within, outsideWithin)},
		func(looking context.Context) (bool, string, error) {
			if sent == 0 || looking.Err() == nil {
				once()
			}
			return sent >= tries || told(*c), "not yet", nil
		})
	return sent
}
