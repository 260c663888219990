// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const (
	// callRequests are sent in each call.
	callRequests = 5
	// callWithin is how long a call is tried again that should pass, for rules of the ingress
	// gateway may reach it last, or that said nothing.
	callWithin = 8 * time.Second
)

// askedAtOnce bounds the calls, or the looks at a chain, that go on side by side: all of three
// clusters, whose calls are 30. Those of twenty would be 1560, each with connections of its own, and
// would say more of the machines than of the mesh.
const askedAtOnce = 32

// observeCalls makes every call of the authorization suite.
func (s *session) observeCalls(ctx context.Context) {
	if !s.want[FactCalls] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[CallKey]Call{}
	var g errgroup.Group
	g.SetLimit(askedAtOnce)
	send := func(key CallKey, r role, request probe.RunRequest) {
		g.Go(func() error {
			c := s.call(ctx, key, r, request)
			mu.Lock()
			defer mu.Unlock()
			all[key] = c
			return nil
		})
	}
	for _, p := range s.world.pairs() {
		h := host(s.world.Namespace, serviceOnly(p.To))
		send(CallKey{p.From, p.To, CallAllowed}, roleCaller, probe.RunRequest{URL: address(h, pathPrivate)})
		send(CallKey{p.From, p.To, CallDenied}, roleStranger, probe.RunRequest{URL: address(h, pathPrivate)})
		send(CallKey{p.From, p.To, CallDirect}, roleCaller, probe.RunRequest{URL: address(h, pathIngress)})
		send(CallKey{p.From, p.To, CallIngress}, roleOutsider, ingressRequest(s.zone, p.To, pathIngress))
	}
	for _, c := range s.world.Clusters {
		address := ""
		if echo := s.members[c].pod(roleEcho); echo != nil {
			address = echo.Status.PodIP
		}
		at := func(port int) probe.RunRequest {
			return probe.RunRequest{URL: "http://" + net.JoinHostPort(address, strconv.Itoa(port)) + pathOpen}
		}
		send(CallKey{c, c, CallStrict}, roleOutsider, at(probe.PortApp))
		send(CallKey{c, c, CallPermissive}, roleOutsider, at(probe.PortAppSecond))
	}
	_ = g.Wait() // each call keeps its own problem
	for _, c := range s.world.Clusters {
		if slices.ContainsFunc(s.world.pairs(), func(p topology.Pair) bool { return p.From == c && all[CallKey{c, p.To, CallIngress}].barred() }) {
			// Who denied it, the gateway or the workload, is told by what the workload lets everybody do.
			send(CallKey{c, c, CallEntered}, roleOutsider, ingressRequest(s.zone, c, pathOpen))
		}
	}
	_ = g.Wait()
	s.record(FactCalls, began, func(w *World) { w.Calls = all })
}

// ingressRequest calls the echo of a cluster through the ingress gateway of the caller's own.
func ingressRequest(zone, to, path string) probe.RunRequest {
	return probe.RunRequest{
		URL:  fmt.Sprintf("http://%s.%s.svc.cluster.local:80%s", topology.IngressGateway, topology.SystemNamespace, path),
		Host: hostOutside(zone, to),
	}
}

// call sends a handful of requests. One that should pass gets a moment for its rules to
// arrive; one that should not is sent again only when a request was lost, which is neither
// a denial nor the lack of one.
func (s *session) call(ctx context.Context, key CallKey, r role, request probe.RunRequest) Call {
	c := Call{Target: request.URL}
	if c.Problem = or(s.members[key.From].why(), s.members[key.To].why()); c.Problem != "" {
		return c
	}
	if slices.Contains([]CallKind{CallIngress, CallDirect, CallEntered}, key.Kind) && s.mesh.Topology.Cluster(key.From).Ingress == nil {
		c.Skipped = key.From + " has no ingress gateway in the topology"
		return c
	}
	request.Count, request.Timeout, request.Fresh = max(callRequests, request.Count), requestTimeout, true
	once := func(ctx context.Context) {
		rep, err := ask[probe.RunReport](ctx, s.members[key.From], r, "POST", "/run", request)
		c.Problem, c.Outcomes, c.Clusters = "", rep.Outcomes, nil
		if err != nil {
			c.Problem = sentence(err)
		}
		for _, o := range rep.Outcomes {
			if o.OK() {
				c.Clusters = append(c.Clusters, s.answered(o))
			}
		}
	}
	told := func() bool { return c.let(key.To) }
	if slices.Contains([]CallKind{CallDenied, CallStrict, CallDirect, CallEntered}, key.Kind) {
		told = c.told
	}
	// Time that is up is no error: what was seen last is judged.
	_ = poll.Until(ctx, poll.Options{What: "the outcome of a call", Interval: 200 * time.Millisecond, Deadline: cmp.Or(s.options.within, callWithin)},
		func(looking context.Context) (bool, string, error) {
			if looking.Err() == nil {
				once(ctx)
			}
			return c.Problem == "" && told(), "not yet", nil
		})
	return c
}

// told says whether a call that should be denied needs no further try: a request was let in,
// or each was denied.
func (c *Call) told() bool {
	return slices.ContainsFunc(c.Outcomes, probe.Outcome.OK) ||
		!slices.ContainsFunc(c.Outcomes, func(o probe.Outcome) bool { return !denied(o) })
}
