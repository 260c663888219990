// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/probe"
)

// crowd counts what is under way at the probes of many clusters.
type crowd struct {
	// want holds answers back until so many are asked for at once, patience at the longest.
	want     int
	patience time.Duration

	mu        sync.Mutex
	now, most int
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

func (c *crowd) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most >= c.want
}

// ServeHTTP is every probe: what is waited for takes a moment, and a steady load ends at once.
func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/runs":
		c.enter()
	case r.Method == http.MethodDelete:
		c.leave()
	case r.URL.Path == "/run" || r.URL.Path == "/tls":
		c.enter()
		defer c.leave()
		for began := time.Now(); !c.full() && time.Since(began) < c.patience; {
			time.Sleep(time.Millisecond)
		}
	}
	_ = json.NewEncoder(w).Encode(probe.RunReport{ID: "1", Done: true, Outcomes: []probe.Outcome{{Status: 200, Count: 1}}})
}

// crowded is a session with n clusters, whose probes are all the same.
func crowded(t *testing.T, n int, c *crowd) *session {
	t.Helper()
	m, fakes := twoClusters(t)
	for i := len(m.Topology.Spec.Clusters); i < n; i++ {
		more := m.Topology.Spec.Clusters[0]
		more.Name = fmt.Sprintf("c%d", i)
		more.Network, more.Primary, more.Config = more.Name, more.Name, more.Name
		m.Topology.Spec.Clusters = append(m.Topology.Spec.Clusters, more)
	}
	pods := map[string]http.Handler{}
	roles := []role{roleEcho, roleCaller, roleStranger, roleOutsider}
	for _, r := range roles {
		pods[fmt.Sprintf("%s/%s:%d", testNamespace, r, probe.PortAdmin)] = c
	}
	fakes["west"].Forwards(t, pods)
	for _, name := range m.Topology.Names() {
		m.Clients[name] = fakes["west"].Client
	}
	s := newSession(m, Options{within: 50 * time.Millisecond}, m.Topology.Names(), Suites(), time.Now())
	for _, one := range s.members {
		for _, r := range roles {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: string(r), Labels: map[string]string{labelRole: string(r)}}}
			pod.Status.PodIP = "10.0.0.1"
			one.know(pod)
		}
		t.Cleanup(func() { one.forget("", "") })
	}
	s.world.Gateways = map[string]Gateway{}
	for _, name := range m.Topology.Names() {
		s.world.Gateways[name] = Gateway{Addresses: []string{"10.0.0.2"}}
	}
	return s
}

// TestManyClustersAreAskedInTurn, and few all at once.
func TestManyClustersAreAskedInTurn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ask          func(*session, context.Context)
		three, bound int
	}{
		"calls":        {(*session).observeCalls, 3*2*4 + 3*2, askedAtOnce},
		"chains":       {(*session).observeWire, 3 * 3, askedAtOnce},
		"loads":        {func(s *session, ctx context.Context) { s.loads(ctx, 1, []string{"even", "a", "b", "c"}) }, 3 * 4, countedAtOnce},
		"steady loads": {(*session).observeFailover, loadsAtOnce, loadsAtOnce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.HasPrefix(name, "steady") {
				few := &crowd{want: tc.three, patience: 10 * time.Second}
				tc.ask(crowded(t, 3, few), t.Context())
				if few.most != tc.three {
					t.Errorf("three clusters: %d at once, not all %d", few.most, tc.three)
				}
			}
			many := &crowd{want: tc.bound + 1, patience: 50 * time.Millisecond}
			tc.ask(crowded(t, 8, many), t.Context())
			if many.most > tc.bound || many.most < 2 {
				t.Errorf("eight clusters: %d at once, at most %d", many.most, tc.bound)
			}
		})
	}
}
