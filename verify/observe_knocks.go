// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const (
	// knocksAtOnce bounds the pairs that are knocked at side by side.
	knocksAtOnce = 4
	// knockWithin is how long a connection that said nothing is tried again.
	knockWithin = 5 * time.Second
	// nobody is a service that no cluster has.
	nobody = "nobody"
)

// knockKinds are the connections in the order in which they are shown.
func knockKinds() []KnockKind {
	return []KnockKind{KnockNoCertificate, KnockForeignRoot, KnockUnknownSNI, KnockPlaintext}
}

// observeKnocks has the outsider of each cluster try what the gateways of other networks must
// refuse, and the caller what they must let through.
func (s *session) observeKnocks(ctx context.Context) {
	if !s.want[FactKnocks] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[topology.Pair]Knocks{}
	var g errgroup.Group
	g.SetLimit(knocksAtOnce)
	for _, p := range s.world.pairs() {
		if !s.world.apart(p.From, p.To) {
			continue
		}
		g.Go(func() error {
			k := s.knocks(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			all[p] = k
			return nil
		})
	}
	_ = g.Wait() // each pair keeps its own problem
	s.record(FactKnocks, began, func(w *World) { w.Knocks = all })
}

func (s *session) knocks(ctx context.Context, p topology.Pair) Knocks {
	k := Knocks{
		Problem: or(s.members[p.From].why(), s.members[p.To].why()), Calls: map[KnockKind][]Knock{},
		Want: fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", s.world.TrustDomain, s.world.Namespace, account(roleEcho)),
	}
	gateway := look(s, func(w *World) Gateway { return w.Gateways[p.To] })
	k.Addresses = slices.Concat(gateway.Addresses, gateway.Hostnames)
	if k.Problem == "" && len(k.Addresses) == 0 {
		k.Problem = or(gateway.Problem, "the east-west gateway of "+p.To+" has no address")
	}
	if k.Problem != "" {
		return k
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() { s.twin(ctx, p, &k) })
	for _, kind := range knockKinds() {
		wg.Go(func() {
			var calls []Knock
			for _, address := range k.Addresses {
				calls = append(calls, s.knock(ctx, p, kind, address))
			}
			mu.Lock()
			defer mu.Unlock()
			k.Calls[kind] = calls
		})
	}
	wg.Wait()
	return k
}

// counted is a path of which the application counts requests, and which nobody else asks for.
func counted() string { return probe.PrefixCounted + strings.ToLower(rand.Text()) }

// reached asks the echo of a cluster how many requests for a path it has been given.
func (s *session) reached(ctx context.Context, cluster, path string) (int, error) {
	c, err := ask[probe.Counted](ctx, s.members[cluster], roleEcho, "POST", "/counted", probe.Counted{Path: path})
	return c.Count, err
}

// twin sends what must pass: some requests for each address, over connections of their own.
func (s *session) twin(ctx context.Context, p topology.Pair, k *Knocks) {
	m, h, path := s.members[p.From], host(s.world.Namespace, serviceOnly(p.To)), counted()
	k.Twin = s.call(ctx, CallKey{p.From, p.To, CallAllowed}, roleCaller, probe.RunRequest{URL: address(h, path), Count: callRequests * len(k.Addresses)})
	if k.Twin.Problem != "" {
		return
	}
	n, err := s.reached(ctx, p.To, path)
	var page []byte
	if err == nil {
		k.Counted = n
		page, err = m.page(ctx, m.namespace, m.pod(roleCaller).Name, portEnvoy, pageClusters)
	}
	if err == nil {
		k.Through, err = parseAnswered(page, outbound(probe.PortApp, h))
	}
	if err != nil {
		k.Twin.Problem = sentence(err)
	}
}

// parseAnswered counts the requests that each address of one of Envoy's clusters has answered
// (rq_success of envoy.admin.v3.HostStatus).
func parseAnswered(page []byte, cluster string) (map[string]int, error) {
	var doc struct {
		Statuses []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
					} `json:"socket_address"`
				} `json:"address"`
				Stats []struct {
					Name  string `json:"name"`
					Value string `json:"value"`
				} `json:"stats"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(page, &doc); err != nil {
		return nil, fmt.Errorf("reading Envoy's clusters: %w", err)
	}
	answered := map[string]int{}
	for _, c := range doc.Statuses {
		if c.Name != cluster {
			continue
		}
		for _, h := range c.Hosts {
			for _, stat := range h.Stats {
				if n, err := strconv.Atoi(stat.Value); err == nil && stat.Name == "rq_success" {
					answered[h.Address.Socket.Address] += n
				}
			}
		}
	}
	return answered, nil
}

// knock makes one connection; one that neither came through nor was refused is made again.
func (s *session) knock(ctx context.Context, p topology.Pair, kind KnockKind, address string) Knock {
	k := Knock{Address: net.JoinHostPort(address, strconv.Itoa(topology.PortCrossNetwork))}
	path := counted()
	request := probe.KnockRequest{Addr: k.Address, Host: host(s.world.Namespace, serviceOnly(p.To)), Path: path, Timeout: requestTimeout}
	if kind != KnockPlaintext {
		// The ALPN is what sidecars offer each other; gateways and sidecars match on it.
		request.TLS, request.ALPN = true, []string{"istio"}
		k.SNI = sni(probe.PortApp, request.Host)
		if kind == KnockUnknownSNI {
			k.SNI = sni(probe.PortApp, host(s.world.Namespace, nobody))
		}
		request.SNI = k.SNI
	}
	if kind == KnockForeignRoot {
		request.Claim = fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", s.world.TrustDomain, s.world.Namespace, account(roleCaller))
	}
	_ = poll.Until(ctx, poll.Options{What: "the end of a connection", Interval: 500 * time.Millisecond, Deadline: knockWithin},
		func(looking context.Context) (bool, string, error) {
			if looking.Err() != nil {
				return false, "", looking.Err() // what was seen last is judged
			}
			rep, err := ask[probe.KnockReport](ctx, s.members[p.From], roleOutsider, "POST", "/knock", request)
			k.Problem, k.Outcome, k.Served = "", rep.Outcome, rep.Served
			if err == nil {
				k.Reached, err = s.reached(ctx, p.To, path)
			}
			if err != nil {
				k.Problem = sentence(err)
				return false, "not yet", nil
			}
			return k.Reached > 0 || k.Outcome.Status != 0 || refused(k.Outcome) != "", "not yet", nil
		})
	return k
}
