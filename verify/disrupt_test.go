// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/probe"
)

// crossing stands in for the probes of a mesh in which callers are answered by both clusters as
// long as the gateway of one has replicas.
type crossing struct {
	gateway *kubetest.Cluster
	// severed: the other cluster never answers.
	severed bool
	// under is called when the first request finds no gateway.
	under func()

	mu      sync.Mutex
	started time.Time
	away    []bool // for each bucket so far
}

func (c *crossing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started.IsZero() {
		c.started = time.Now()
	}
	d := &appsv1.Deployment{}
	gone := c.gateway.Get(context.WithoutCancel(r.Context()), client.ObjectKeyFromObject(gatewayDeployment(0)), d) != nil || *d.Spec.Replicas == 0
	if gone && c.under != nil {
		c.under()
		c.under = nil
	}
	elapsed := time.Since(c.started)
	for len(c.away) < int(elapsed/probe.BucketWidth) {
		c.away = append(c.away, gone)
	}
	rep := probe.RunReport{ID: "1", Started: c.started, Elapsed: elapsed, Complete: elapsed, Outcomes: []probe.Outcome{
		{UID: "west", Pod: "echo", Status: 200}, {UID: "east", Pod: "echo", Status: 200}}}
	for i, away := range c.away {
		counts := map[int]int{0: 1, 1: 1}
		if away || c.severed {
			counts = map[int]int{0: 2}
		}
		rep.Sent += 2
		rep.Timeline = append(rep.Timeline, probe.Bucket{At: time.Duration(i) * probe.BucketWidth, Counts: counts})
	}
	_ = json.NewEncoder(w).Encode(rep)
}

// crossed is a session of two clusters whose probes are c; east has the gateway.
func crossed(t *testing.T, c *crossing) (*session, *kubetest.Cluster) {
	t.Helper()
	d, east := broken(t, FaultGateway, nil, gatewayDeployment(2))
	c.gateway = east
	m, fakes := twoClusters(t)
	probes(t, d.members["west"], fakes["west"], "west", c)
	d.members["east"].uids["east"] = true
	d.mesh.Topology = m.Topology
	return d.session, east
}

func TestAGatewayGoesAndComesBack(t *testing.T) {
	t.Parallel()
	s, east := crossed(t, &crossing{})
	all := map[LineKey]Line{}
	seen := s.disrupt(t.Context(), all)
	asItWas(t, east, 2)
	if len(seen) != 1 || seen[0].Problem != "" {
		t.Errorf("seen %+v", seen)
	}
	w, _ := healthy(t)
	w.Topology, w.Lines, w.Faults = s.mesh.Topology, all, seen
	for _, id := range []string{"failover-switch", "failover-lost", "failover-back"} {
		if r := find(t, w, id, "west", "east", FaultGateway); r.Status != Pass {
			t.Errorf("%s: %s", r.Status, r.Line())
		}
		if r := find(t, w, id, "west", "east", FaultNetwork); r.Status != Skip || !strings.Contains(r.Message, "no container engine") {
			t.Errorf("without an engine: %s: %s", r.Status, r.Line())
		}
	}
}

func TestAnInterruptRestoresAtOnce(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	s, east := crossed(t, &crossing{under: interrupt})
	begun := time.Now()
	s.disrupt(ctx, map[LineKey]Line{})
	asItWas(t, east, 2)
	if len(east.Writes()) < 2 {
		t.Errorf("writes %q: the fault was never made", east.Writes())
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestNothingIsBrokenInAMeshThatIsNotSteady(t *testing.T) {
	t.Parallel()
	s, east := crossed(t, &crossing{severed: true})
	all := map[LineKey]Line{}
	if seen := s.disrupt(t.Context(), all); len(seen) > 0 || len(east.Writes()) > 0 {
		t.Errorf("seen %+v, writes %q", seen, east.Writes())
	}
	if l := all[LineKey{"west", "east", FaultGateway}]; !strings.Contains(l.Problem, "nothing was broken on purpose") {
		t.Errorf("problem %q", l.Problem)
	}
}
