// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package kind

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/run"
)

// TestRealStray has something else on the network that has the address of a node, as is left
// when an engine is killed: with the node's MAC address, as of Docker before 28, and with one of
// its own. It needs root and an engine of this host.
func TestRealStray(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can put interfaces on a network")
	}
	l := newLab(t, "mfhb-stray")
	ctx, a, b := t.Context(), l.spec("a", 0), l.spec("b", 1)
	p := l.provider(t, a, b)
	for _, s := range []cluster.Spec{a, b} {
		timed(t, "made", func() error { return p.Ensure(ctx, s) })
	}
	node := b.Name + "-control-plane"
	mac, err := l.engine.Run(ctx, "exec", node, "cat", "/sys/class/net/eth0/address")
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.Nodes(ctx, b.Name)
	if err != nil {
		t.Fatal(err)
	}
	const own = "02:00:00:00:0b:0b"
	for _, stray := range []string{mac, own} {
		speak, gone := l.stray(t, list[0].Address.String(), stray)
		once := sync.OnceFunc(gone)
		t.Cleanup(once)
		seen := false
		// The last to speak is the one that is heard: others may come in between.
		for range 10 {
			speak()
			status, err := p.Look(ctx, b)
			t.Logf("%s: %s (%s), %v", stray, status.State, status.Reason, err)
			if seen = seen || status.State != cluster.Ready; seen {
				break
			}
		}
		// The second time the node still makes itself heard, from having been mended.
		if !seen && stray == mac {
			t.Errorf("%s: it is not seen that something else has the address of %s", stray, node)
		}
		l.mended(t, p, b)
		if stray == own {
			// Only a node takes it for the other, this host does not.
			err := poll.Until(ctx, poll.Options{What: "it to be seen", Interval: 100 * time.Millisecond, Deadline: time.Minute}, func(ctx context.Context) (bool, string, error) {
				if _, err := l.engine.Run(ctx, "exec", a.Name+"-control-plane", "ip", "neigh", "replace", list[0].Address.String(), "lladdr", own, "dev", "eth0", "nud", "reachable"); err != nil {
					return false, "", err
				}
				status, err := p.Look(ctx, b)
				return status.State == cluster.Impaired, string(status.State), err
			})
			if err != nil {
				t.Error(err)
			}
			l.mended(t, p, b)
		}
		l.reach(t, p, a, b)
		l.reach(t, p, b, a)
		once()
	}
}

// mended has a cluster mended. The stray, which does not go away here, may be heard once more for
// a moment.
func (l *lab) mended(t *testing.T, p *Provider, s cluster.Spec) {
	t.Helper()
	timed(t, "mended", func() error { return p.Ensure(t.Context(), s) })
	err := poll.Until(t.Context(), poll.Options{What: s.Name, Deadline: time.Minute}, func(ctx context.Context) (bool, string, error) {
		status, err := p.Look(ctx, s)
		return status.State == cluster.Ready, status.Reason, err
	})
	if err != nil {
		t.Error(err)
	}
}

// stray puts something on the network and returns what has it speak and takes it away.
func (l *lab) stray(t *testing.T, address, mac string) (speak, gone func()) {
	t.Helper()
	const space, outer = "mfhb-stray", "mfhb-stray0"
	ip := func(args ...string) {
		t.Helper()
		if _, err := (run.Command{Name: "ip", Args: args}).Output(l.afterwards(t)); err != nil {
			t.Fatal(err)
		}
	}
	ip("netns", "add", space)
	gone = func() {
		ip("link", "delete", outer)
		ip("netns", "delete", space)
	}
	for _, line := range []string{
		"link add " + outer + " type veth peer name eth0 address " + mac + " netns " + space, "link set " + outer + " master " + l.bridge(t) + " up",
		"-n " + space + " address add " + address + "/24 dev eth0", "-n " + space + " link set eth0 up",
	} {
		ip(strings.Fields(line)...)
	}
	gateway := l.net.Gateway.String()
	speak = func() {
		t.Helper()
		ip("-n", space, "neigh", "flush", "dev", "eth0")
		ip("netns", "exec", space, "bash", "-c", "echo > /dev/udp/"+gateway+"/9")
	}
	return speak, gone
}

// bridge is the interface of this host that is the gateway of the network.
func (l *lab) bridge(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool { return strings.HasPrefix(a.String(), l.net.Gateway.String()+"/") }) {
			return i.Name
		}
	}
	t.Skip("the network is not on this host")
	return ""
}
