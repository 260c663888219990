// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package kind

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/topology"
)

// lab is a real engine with a network on it, both for one test.
type lab struct {
	engine cluster.Engine
	facts  cluster.Facts
	labels map[string]string
	top    *topology.Topology
	net    cluster.Network
	image  string
	dir    string
}

// newLab prepares the engine that MESHFED_TEST_ENGINE names, or the one that is found, with the
// node image, which has the bridge CNI, that MESHFED_TEST_NODE_IMAGE names.
func newLab(t *testing.T, name string) *lab {
	t.Helper()
	l := &lab{image: os.Getenv("MESHFED_TEST_NODE_IMAGE"), dir: t.TempDir(),
		labels: map[string]string{topology.LabelTopology: name, topology.LabelOwner: "real-test"},
		top:    &topology.Topology{Metadata: topology.Metadata{Name: name}}}
	if l.image == "" {
		t.Skip("MESHFED_TEST_NODE_IMAGE names no node image")
	}
	var err error
	if l.facts, err = cluster.Detect(t.Context(), os.Getenv("MESHFED_TEST_ENGINE")); err != nil {
		t.Fatal(err)
	}
	if l.engine, err = cluster.Prepare(t.Context(), l.facts, l.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.RemoveNetwork(l.afterwards(t), l.engine, l.top.NetworkName(), l.labels); err != nil {
			t.Error(err)
		}
	})
	l.net, err = cluster.EnsureNetwork(t.Context(), l.engine, cluster.NetworkSpec{Name: l.top.NetworkName(), Labels: l.labels,
		Range: l.top.NodeRange, Avoid: []netip.Prefix{netip.MustParsePrefix("10.10.0.0/15")}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// afterwards is a context for cleaning up in.
func (l *lab) afterwards(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// spec is a cluster of one node; n tells several apart.
func (l *lab) spec(name string, n int) cluster.Spec {
	second := string(rune('0' + n))
	return cluster.Spec{Name: l.top.KindName(name), Image: l.image, PodSubnet: "10.1" + second + ".0.0/16", ServiceSubnet: "10.10" + second + ".0.0/24",
		BridgeCNI: true, Nodes: []cluster.Node{{Role: "control-plane", Labels: map[string]string{topology.LabelRegion: "us-west"}}}}
}

// provider removes its clusters at the end and says if something is left of them.
func (l *lab) provider(t *testing.T, specs ...cluster.Spec) *Provider {
	t.Helper()
	p := New(l.engine, l.facts, l.top.NetworkName(), l.labels)
	p.Dir, p.Command = l.dir, []string{os.Args[0]}
	p.Observe = func(_ context.Context, name, state string) { t.Logf("%s: %s", name, state) }
	t.Cleanup(func() {
		ctx := l.afterwards(t)
		for _, s := range specs {
			if err := p.Delete(ctx, s.Name); err != nil {
				t.Error(err)
			}
			if out, err := l.engine.Run(ctx, "volume", "ls", "--quiet", "--filter", "label="+s.Name+"-control-plane"); err != nil || out != "" {
				t.Errorf("volumes left: %q, %v", out, err)
			}
			if left, err := cluster.Containers(ctx, l.engine, "label="+clusterLabel+"="+s.Name); err != nil || len(left) != 0 {
				t.Errorf("containers left: %v, %v", left, err)
			}
		}
	})
	return p
}

// TestRealCluster makes, interrupts, mends, pauses, kills and removes a cluster on this host.
func TestRealCluster(t *testing.T) {
	l := newLab(t, "mfhb-one")
	ctx, spec := t.Context(), l.spec("a", 0)
	spec.Ports = []cluster.Port{{Host: 31080, Node: 30080, Any: true}}
	spec.Registries = []cluster.Registry{{Host: "docker.io", Server: "http://127.0.0.1:9/"}}
	spec.Patches = []string{"kind: KubeletConfiguration\nmaxPods: 77\n", "[plugins.\"io.containerd.grpc.v1.cri\"]\n  max_concurrent_downloads = 7\n"}
	interrupt, cut := context.WithCancel(ctx)
	p := l.provider(t, spec)
	p.Observe = func(_ context.Context, name, state string) {
		t.Logf("%s: %s", name, state)
		if strings.HasPrefix(state, "starting control-plane") {
			cut()
		}
	}
	if err := p.Ensure(interrupt, spec); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	expect(t, p, spec, cluster.HalfMade)
	timed(t, "made", func() error { return p.Ensure(ctx, spec) })
	timed(t, "looked at", func() error { _, err := p.Look(ctx, spec); return err })
	expect(t, p, spec, cluster.Ready)
	node, err := p.endpoint(ctx, spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := node.Networks[l.net.Name]; !l.top.NodeRange(l.net.Subnet).Contains(got) {
		t.Errorf("the node got %s, outside of the lower half of %s", got, l.net.Subnet)
	}
	if ports, err := p.Ports(ctx, spec.Name); err != nil || ports[30080] < 31080 || len(ports) != 1 {
		t.Errorf("ports %v, %v", ports, err)
	}
	for file, want := range map[string]string{"/var/lib/kubelet/config.yaml": "maxPods: 77", "/etc/containerd/config.toml": "max_concurrent_downloads = 7",
		registriesPath + "/docker.io/hosts.toml": "http://127.0.0.1:9"} {
		if out, err := l.engine.Run(ctx, "exec", node.Name, "cat", file); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s does not hold %q: %v", file, want, err)
		}
	}
	// What containerd has made of its file, and not only what is written there.
	if out, err := l.engine.Run(ctx, "exec", node.Name, "containerd", "config", "dump"); err != nil || !strings.Contains(out, "stats_collect_period = '1m'") {
		t.Errorf("containerd samples more often than once a minute: %v", err)
	}
	if err := p.WriteKubeconfig(ctx, spec.Name, filepath.Join(l.dir, "a.kubeconfig")); err != nil {
		t.Error(err)
	}
	if err := p.CollectLogs(ctx, spec.Name, filepath.Join(l.dir, "logs")); err != nil {
		t.Error(err)
	}
	if err := cluster.RemoveNetwork(ctx, l.engine, l.net.Name, l.labels); err == nil || !strings.Contains(err.Error(), "still used by "+node.Name) {
		t.Errorf("removing a network in use: %v", err)
	}
	for state, verb := range map[cluster.State]string{cluster.Paused: "pause", cluster.Stopped: "kill"} {
		if _, err := l.engine.Run(ctx, verb, node.Name); err != nil {
			t.Fatal(err)
		}
		expect(t, p, spec, state)
		timed(t, verb+", then ensured", func() error { return p.Ensure(ctx, spec) })
		expect(t, p, spec, cluster.Ready)
	}
}

func timed(t *testing.T, what string, do func() error) {
	t.Helper()
	began := time.Now()
	if err := do(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s in %s", what, time.Since(began).Round(time.Millisecond))
}

func expect(t *testing.T, p *Provider, s cluster.Spec, want cluster.State) {
	t.Helper()
	got, err := p.Look(t.Context(), s)
	if err != nil || got.State != want {
		t.Fatalf("%s (%s) instead of %s, %v", got.State, got.Reason, want, err)
	}
}
