// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// sharedNetwork is of addresses that are for documentation: no interface of any host has them.
const sharedNetwork = `[{"name": "kind", "subnets": [{"subnet": "198.51.100.0/24", "gateway": "198.51.100.1"}]}]`

// sharing is a mesh on the network of everybody, where somebody's container has an address.
func sharing(t *testing.T, address netip.Addr) (*Mesh, *clustertest.Engine) {
	t.Helper()
	m := newMesh(t, example)
	m.Topology.Spec.ContainerNetwork = "kind"
	// Where a range is suggested first.
	m.Topology.Cluster("east").LoadBalancer.Addresses = []string{"198.51.100.240-198.51.100.254"}
	e := &clustertest.Engine{Answers: []clustertest.Answer{{To: "network inspect", Out: sharedNetwork}}}
	if address.IsValid() {
		e.Answers = append(e.Answers, clustertest.Answer{To: "ps", Out: "0123"}, clustertest.Answer{To: "container inspect",
			Out: fmt.Sprintf(`[{"Id": "0123", "Name": "theirs", "State": {"Status": "running"}, "NetworkSettings": {"Networks": {"kind": {"IPAddress": %q}}}}]`, address)})
	}
	m.Engine = e
	return m, e
}

func rangesOf(t *testing.T) map[string]topology.AddressRange {
	t.Helper()
	m, _ := sharing(t, netip.Addr{})
	_, ranges, err := m.addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ranges
}

func balancer(name, address string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	if address != "" {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	}
	return s
}

func TestRangeOfASharedNetwork(t *testing.T) {
	t.Parallel()
	ranges := rangesOf(t)
	west, east := ranges["west"], ranges["east"]
	for name, test := range map[string]struct {
		theirs netip.Addr
		own    []string
		taken  bool
	}{
		"nobody is there":             {},
		"somebody is elsewhere":       {theirs: netip.MustParseAddr("198.51.100.2")},
		"somebody is in east's":       {theirs: east.First},
		"somebody has the first":      {theirs: west.First, taken: true},
		"somebody has the last":       {theirs: west.Last, taken: true},
		"it is a Service of ours":     {theirs: west.First, own: []string{"", west.First.String()}},
		"ours is another one":         {theirs: west.First, own: []string{west.Last.String()}, taken: true},
		"ours has no address as yet":  {theirs: west.First, own: []string{""}, taken: true},
		"one after the end of west's": {theirs: west.Last.Next()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := sharing(t, test.theirs)
			c := kubetest.New(t, "west")
			for i, address := range test.own {
				if err := c.Create(t.Context(), balancer(fmt.Sprint("s", i), address)); err != nil {
					t.Fatal(err)
				}
			}
			err := m.rangeIsFree(t.Context(), c.Client)
			if !test.taken {
				if err != nil {
					t.Error(err)
				}
				return
			}
			hinted(t, err, fmt.Sprintf("address %s of %s on container network kind is used by somebody else", test.theirs, west), "for west: nobody answers there")
			_, text, _ := strings.Cut(strings.Join(diag.Hints(err), ""), "addresses: [")
			text, _, _ = strings.Cut(text, "]")
			free, perr := topology.ParseAddressRange(text)
			if perr != nil || free.Overlaps(west) || free.Overlaps(east) {
				t.Errorf("it suggests %q, and west has %s, east %s: %v", text, west, east, perr)
			}
		})
	}
}

func TestRangeThatCanNotBeLookedAt(t *testing.T) {
	t.Parallel()
	m, e := sharing(t, netip.Addr{})
	c := kubetest.New(t, "west")
	c.Fail("list", "ServiceList", "", errors.New("etcd is slow"), 1)
	hinted(t, m.rangeIsFree(t.Context(), c.Client), "etcd is slow", "")
	e.Answers = append(e.Answers, clustertest.Answer{To: "ps", Fails: "Error: cannot connect"})
	hinted(t, m.rangeIsFree(t.Context(), c.Client), "cannot connect", "")
	m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{{To: "network inspect", Fails: "Error: no such network"}}}
	if err := m.rangeIsFree(t.Context(), c.Client); err == nil {
		t.Error("a network that is not there is free")
	}
}

// TestOwnPoolIsNotAskedAgain: once MetalLB is there, what answers in its range is ours; and on a
// network of our own nobody else is.
func TestOwnPoolIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action graph.Action
		shared bool
		asked  bool
	}{
		"made":          {graph.Create, true, true},
		"updated":       {graph.Update, true, false},
		"replaced":      {graph.Replace, true, false},
		"network of us": {graph.Create, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, e := sharing(t, rangesOf(t)["west"].First)
			if !test.shared {
				m.Topology.Spec.ContainerNetwork = ""
			}
			m.Bundle = &bundle.Bundle{Dir: t.TempDir(), Manifest: bundle.Manifest{Charts: []bundle.Chart{{Name: "metallb", File: "none.tgz"}}}}
			err := metalLB{m, m.install()}.Do(t.Context(), kubetest.New(t, "west").Client, graph.Change{Action: test.action})
			if err == nil || strings.Contains(err.Error(), "used by somebody else") != test.asked || (len(e.Calls("ps")) > 0) != test.asked {
				t.Errorf("%v; asked: %q", err, e.Calls("ps"))
			}
		})
	}
}

// TestRecoverShared: on a network without labels of ours the clusters say whose they are.
func TestRecoverShared(t *testing.T) {
	t.Parallel()
	const theirs = "fedcba9876543210"
	two := diag.Hint(errors.New("containers a and b are of topology usmesh, and of two owners"), "run `meshfed down` for each")
	for name, test := range map[string]struct {
		kept       string
		finds      string
		fails      error
		make       bool
		want, says string
		found      bool
	}{
		"kept, and nobody is asked": {kept: "0123456789abcdef", fails: errors.New("it asked"), want: "0123456789abcdef", found: true},
		"the state is lost":         {finds: theirs, want: theirs, found: true},
		"the state is lost, and up": {finds: theirs, make: true, want: theirs, found: true},
		"two owners":                {fails: two, make: true, says: "of two owners"},
		"none":                      {},
		"none, and up":              {make: true, want: "new", found: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, e := sharing(t, netip.Addr{})
			m.Owner = ""
			m.FindOwner = func(context.Context) (string, error) { return test.finds, test.fails }
			if test.kept != "" {
				if err := m.State.SetOwner(test.kept); err != nil {
					t.Fatal(err)
				}
			}
			found, err := m.RecoverOwner(t.Context(), test.make)
			if test.says != "" {
				hinted(t, err, test.says, "meshfed down")
			} else if err != nil {
				t.Fatal(err)
			}
			if test.want == "new" && len(m.Owner) == 16 {
				test.want = m.Owner
			}
			if found != test.found || m.Owner != test.want {
				t.Errorf("found %v, owner %q; want %v, %q", found, m.Owner, test.found, test.want)
			}
			recorded, err := m.State.Owner()
			if wrote := err == nil; wrote != (test.kept != "" || test.make && test.says == "") || wrote && recorded != m.Owner {
				t.Errorf("recorded %q, %v", recorded, err)
			}
			if calls := e.Calls("network"); len(calls) > 0 {
				t.Errorf("a network that says nothing of us was asked: %q", calls)
			}
		})
	}
}

// TestSharedNetwork is joined, and never made nor removed; only the one called kind may be
// missing.
func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		name, out  string
		want       string
		says, hint string
	}{
		"there":        {name: "kind", out: sharedNetwork, want: "198.51.100.0/24"},
		"overlaps":     {name: "kind", out: strings.ReplaceAll(sharedNetwork, "198.51.100", "10.100.0"), says: "which overlaps 10.100.0.0/24", hint: "choose another podSubnet"},
		"kind, absent": {name: "kind", want: "kind makes it with the first cluster"},
		"other absent": {name: "office", says: "office"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, e := sharing(t, netip.Addr{})
			m.Topology.Spec.ContainerNetwork = test.name
			e.Answers[0].Out = test.out
			if test.out == "" {
				e.Answers[0].Fails = "Error: no such network"
			}
			change, err := network{m}.Look(t.Context())
			if test.says != "" {
				hinted(t, err, test.says, test.hint)
			} else if err != nil || change.Needed() || change.Reason != test.want {
				t.Errorf("%+v, %v", change, err)
			}
			if calls := append(e.Calls("network create"), e.Calls("network rm")...); len(calls) > 0 {
				t.Errorf("%q", calls)
			}
			m.Provider = noClusters{}
			steps, err := Down(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				if s.ID == "network" {
					t.Error("down removes it")
				}
			}
		})
	}
}
