// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
)

const (
	// namesAtOnce bounds the pairs whose names are looked up side by side.
	namesAtOnce = 4
	// nameWithin is how long a name is looked up again that should be found: istiod tells
	// sidecars of it by itself, and DNS servers keep for seconds that there is none.
	nameWithin = 8 * time.Second
	// envCapture of a sidecar says that it takes DNS over (proxyMetadata of Istio's mesh
	// configuration).
	envCapture = "ISTIO_META_DNS_CAPTURE"
)

// NameKey names a host name as one cluster sees it. The service lives in To only; Alone says
// that its Service object is there only, too, and no stub of it in From.
type NameKey struct {
	From, To string
	Alone    bool
}

// Name is what became of a host name in an application.
type Name struct {
	Problem string
	Host    string
	// Addresses that it was found to have; without one, Error and Detail say why.
	Addresses     []string
	Error, Detail string
	// Captured says whether the sidecar of the application takes DNS over.
	Captured bool
	// Call are requests to it.
	Call Call
}

// observeNames has the caller of each cluster look up services that live in one other, and call
// those that it finds.
func (s *session) observeNames(ctx context.Context) {
	if !s.want[FactNames] {
		return
	}
	began := time.Now()
	var mu sync.Mutex
	all := map[NameKey]Name{}
	var g errgroup.Group
	g.SetLimit(namesAtOnce)
	for _, p := range s.world.pairs() {
		for _, key := range []NameKey{{p.From, p.To, false}, {p.From, p.To, true}} {
			g.Go(func() error {
				n := s.name(ctx, key)
				mu.Lock()
				defer mu.Unlock()
				all[key] = n
				return nil
			})
		}
	}
	_ = g.Wait() // each name keeps its own problem
	s.record(FactNames, began, func(w *World) { w.Names = all })
}

func (s *session) name(ctx context.Context, key NameKey) Name {
	service := serviceOnly(key.To)
	if key.Alone {
		service = serviceAlone(key.To)
	}
	m := s.members[key.From]
	n := Name{Host: host(s.world.Namespace, service), Problem: or(m.why(), s.members[key.To].why())}
	if n.Problem != "" {
		return n
	}
	n.Captured = captured(m.pod(roleCaller))
	found := func() bool { return n.Problem == "" && len(n.Addresses) > 0 }
	// What is not expected to be there is not waited for, but for an answer.
	enough := func() bool { return found() || n.Problem == "" && n.absent() && !s.promised(key, n) }
	_ = poll.Until(ctx, poll.Options{What: "an address", Interval: 500 * time.Millisecond, Deadline: nameWithin},
		func(looking context.Context) (bool, string, error) {
			if looking.Err() != nil {
				return false, "", looking.Err() // what was seen last is judged
			}
			l, err := ask[probe.Lookup](ctx, m, roleCaller, "POST", "/lookup", probe.Lookup{Host: n.Host, Timeout: requestTimeout})
			n.Problem, n.Addresses, n.Error, n.Detail = "", l.Addresses, l.Error, l.Detail
			if err != nil {
				n.Problem = sentence(err)
			}
			return enough(), "not yet", nil
		})
	if found() {
		n.Call = s.call(ctx, CallKey{key.From, key.To, CallAllowed}, roleCaller, probe.RunRequest{URL: address(n.Host, pathOpen)})
	}
	return n
}

// promised says whether a name should be found: by its stub Service, by the topology, or because
// the sidecar takes DNS over whatever that says.
func (s *session) promised(key NameKey, n Name) bool {
	return !key.Alone || n.Captured || s.mesh.Topology.Spec.Istio.DNSProxying
}

// captured says whether the sidecar of a pod takes DNS over.
func captured(pod *corev1.Pod) bool {
	if pod == nil {
		return false
	}
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return strings.HasPrefix(c.Name, "istio-proxy") && slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == envCapture && e.Value == "true" })
	})
}
