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

// TestRealCluster makes, interrupts, mends and removes a cluster on this host. It needs an
// engine and a node image with the bridge CNI, named by MESHFED_TEST_NODE_IMAGE.
func TestRealCluster(t *testing.T) {
	image := os.Getenv("MESHFED_TEST_NODE_IMAGE")
	if image == "" {
		t.Skip("MESHFED_TEST_NODE_IMAGE names no node image")
	}
	ctx := t.Context()
	facts, err := cluster.Detect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	engine, err := cluster.Prepare(ctx, facts, dir)
	if err != nil {
		t.Fatal(err)
	}
	top := &topology.Topology{Metadata: topology.Metadata{Name: "clu-test"}}
	labels := map[string]string{topology.LabelTopology: "clu-test", topology.LabelOwner: "real-test"}
	spec := cluster.Spec{Name: top.KindName("a"), Image: image, PodSubnet: "10.10.0.0/16", ServiceSubnet: "10.100.0.0/24", BridgeCNI: true,
		Nodes: []cluster.Node{{Role: "control-plane", Labels: map[string]string{topology.LabelRegion: "us-west"}}}}
	interrupt, cut := context.WithCancel(ctx)
	p := New(engine, facts, top.NetworkName(), labels)
	p.Dir, p.Command = dir, []string{os.Args[0]}
	p.Observe = func(_ context.Context, name, state string) {
		t.Logf("%s: %s", name, state)
		if strings.HasPrefix(state, "starting control-plane") {
			cut()
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := errors.Join(p.Delete(ctx, spec.Name), cluster.RemoveNetwork(ctx, engine, top.NetworkName(), labels)); err != nil {
			t.Error(err)
		}
		if out, err := engine.Run(ctx, "volume", "ls", "--quiet", "--filter", "label="+spec.Name+"-control-plane"); err != nil || out != "" {
			t.Errorf("volumes left: %q, %v", out, err)
		}
		if left, err := cluster.Containers(ctx, engine, "label="+clusterLabel+"="+spec.Name); err != nil || len(left) != 0 {
			t.Errorf("containers left: %v, %v", left, err)
		}
	})
	network := cluster.NetworkSpec{Name: top.NetworkName(), Labels: labels, Range: top.NodeRange, Avoid: []netip.Prefix{netip.MustParsePrefix(spec.PodSubnet)}}
	n, err := cluster.EnsureNetwork(ctx, engine, network)
	if err != nil {
		t.Fatal(err)
	}

	if err := p.Ensure(interrupt, spec); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	expect(t, p, spec, cluster.HalfMade)
	began := time.Now()
	if err := p.Ensure(ctx, spec); err != nil {
		t.Fatal(err)
	}
	t.Logf("made in %s", time.Since(began).Round(time.Millisecond))
	expect(t, p, spec, cluster.Ready)
	node, err := p.endpoint(ctx, spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := node.Networks[n.Name]; !top.NodeRange(n.Subnet).Contains(got) {
		t.Errorf("the node got %s, outside of the lower half of %s", got, n.Subnet)
	}
	if err := p.WriteKubeconfig(ctx, spec.Name, filepath.Join(dir, "a.kubeconfig")); err != nil {
		t.Error(err)
	}
	if err := p.CollectLogs(ctx, spec.Name, filepath.Join(dir, "logs")); err != nil {
		t.Error(err)
	}
	if err := cluster.RemoveNetwork(ctx, engine, n.Name, labels); err == nil || !strings.Contains(err.Error(), "still used by "+node.Name) {
		t.Errorf("removing a network in use: %v", err)
	}
	if _, err := engine.Run(ctx, "kill", node.Name); err != nil {
		t.Fatal(err)
	}
	expect(t, p, spec, cluster.Stopped)
	if err := p.Ensure(ctx, spec); err != nil {
		t.Fatal(err)
	}
	expect(t, p, spec, cluster.Ready)
}

func expect(t *testing.T, p *Provider, s cluster.Spec, want cluster.State) {
	t.Helper()
	got, err := p.Look(t.Context(), s)
	if err != nil || got.State != want {
		t.Fatalf("%s (%s) instead of %s, %v", got.State, got.Reason, want, err)
	}
}
