//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/kube"
)

// pair are two clusters of the user's own on one container network. The first has a load balancer
// of the user's, the second has none.
type pair struct {
	one, two own
	// byOne and byTwo are how the user reaches them; what they held before the program came.
	byOne, byTwo         *access
	beforeOne, beforeTwo []string
	m                    *mesh
	// engines is a file in which every call of a container engine's command would be noted.
	engines string
}

// TestAllOwn takes two clusters of the user's own through what a file can say of them; each part
// ends with the clusters as they were. They are made once for all parts.
func TestAllOwn(t *testing.T) {
	onlyAll(t)
	before := inventory(t, podman(), "")
	t.Cleanup(func() { sameInventory(t, before, inventory(t, podman(), "")) })
	const network = "mfe2e-pair-net"
	ownNetwork(t, network, "10.94.8.0/24")
	p := &pair{one: joinOwn(t, network, "mfe2e-one", "10.151.0.0/16", "10.94.8.240-10.94.8.247"), two: joinOwn(t, network, "mfe2e-two", "10.152.0.0/16", "")}
	p.byOne, p.byTwo = accessTo(t, p.one), accessTo(t, p.two)
	p.m = meshOf(t, p.noEngine(t), "mfe2epair", "")
	create(t, p.two.client(t), kube.Namespace("shop", nil))
	p.note(t)
	t.Cleanup(func() { // the clusters are removed before, and their meshes need not be
		if called, err := os.ReadFile(p.engines); err == nil {
			t.Errorf("a container engine was asked:\n%s", called)
		}
	})
	for _, part := range []trial{
		{"what does not fit is found before the first write", func(t *testing.T, _ *mesh) { refusals(t, p) }},
		{"a mesh without an engine", func(t *testing.T, _ *mesh) { ownMesh(t, p) }},
		{"an address that is translated, and a cluster that is dropped", func(t *testing.T, _ *mesh) { translatedAndDropped(t, p) }},
		{"an Istio that is there already", func(t *testing.T, _ *mesh) { adopted(t, p) }},
	} {
		ok := t.Run(part.name, func(t *testing.T) { p.m.t = t; part.run(t, p.m) })
		if p.m.t = t; !ok {
			t.Log(p.m.run("down", "--delete-certs", "--yes"))
			p.note(t) // the other parts say something all the same
		}
	}
}

// noEngine is an engine that must not be asked: its commands note that they were called.
func (p *pair) noEngine(t *testing.T) engine {
	t.Helper()
	dir := t.TempDir()
	p.engines = filepath.Join(dir, "called")
	for _, name := range []string{"podman", "docker", "nerdctl"} {
		script := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s\nexit 1\n", name, p.engines)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return engine{name: "podman", env: []string{"PATH=" + dir, "DOCKER_HOST=unix:///nowhere/docker.sock", "CONTAINER_HOST=unix:///nowhere/podman.sock"}}
}

// note keeps what the clusters hold now.
func (p *pair) note(t *testing.T) {
	t.Helper()
	p.beforeOne, p.beforeTwo = contents(t, p.one.client(t)), contents(t, p.two.client(t))
}

// asBefore compares the clusters with what they held.
func (p *pair) asBefore(t *testing.T) {
	t.Helper()
	for _, one := range []struct {
		o      own
		before []string
	}{{p.one, p.beforeOne}, {p.two, p.beforeTwo}} {
		if diff := sameContents(t, one.o.client(t), one.before); diff != "" {
			t.Errorf("%s is not as it was (-before +after):\n%s", one.o.name, diff)
		}
	}
}

// write writes the file: what is said of the mesh, and of each cluster after its provider. An
// empty cluster is left out; PEER stands for its address and provider options follow OPTIONS.
func (p *pair) write(t *testing.T, mesh, one, two string) {
	t.Helper()
	text := "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: mfe2epair}\nspec:\n  credentials: {lifetime: 24h, refresh: Manual}\n" +
		"  verify: {failover: {within: 30s, lostAtMost: 400}}\n" + mesh + "  clusters:\n"
	for _, c := range []struct {
		name, said string
		o          own
		by         *access
	}{{"one", one, p.one, p.byOne}, {"two", two, p.two, p.byTwo}} {
		if c.said == "" {
			continue
		}
		text += "  - name: " + c.name + "\n" + strings.NewReplacer("PEER", c.o.peerAddress(t), "KUBECONFIG", c.by.kubeconfig).Replace(c.said)
	}
	if err := os.WriteFile(p.m.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the parts say of a cluster.
const (
	reached  = "    provider: {kubeconfig: {path: KUBECONFIG, context: prod}}\n"
	labelled = "    provider: {kubeconfig: {path: KUBECONFIG, context: prod, labelNodes: true}}\n"
	atPeer   = "    apiServer: {peerAddress: \"PEER\"}\n"
	west     = "    locality: {region: us-west}\n"
	east     = "    locality: {region: us-east, zone: us-east-1}\n"
	metallb  = "    loadBalancer: {type: MetalLB, addresses: [10.94.8.200-10.94.8.207]}\n"
)

// wroteNothing: but for questions, nothing was sent that is no read.
func (p *pair) wroteNothing(t *testing.T) {
	t.Helper()
	for name, by := range map[string]*access{"one": p.byOne, "two": p.byTwo} {
		for _, w := range by.written() {
			if !strings.HasSuffix(w, "/selfsubjectaccessreviews") {
				t.Errorf("%s was written to: %s", name, w)
			}
		}
	}
}

// up runs `up` of the bundle's images, which these clusters' nodes have.
func (p *pair) up(flags ...string) []string {
	return append([]string{"up", "--bundle", bundle.DefaultDir()}, flags...)
}

// ownMesh: a mesh of the user's own clusters only. No engine is asked; nodes get the locality that
// the file says, one cluster a load balancer, and all of it goes again.
func ownMesh(t *testing.T, p *pair) {
	m := p.m
	p.write(t, "", labelled+west+atPeer, labelled+east+atPeer+metallb+"    ingress: {}\n")
	up := m.must(p.up("-v")...)
	t.Log(up.stdout)
	for _, suite := range strings.Split(proven, ",") {
		if !strings.Contains(up.stdout, suite) {
			t.Errorf("the result does not mention %s", suite)
		}
	}
	if w := stranger(without(p.byOne.written(), "/nodes/mfe2e-one-control-plane")); w != "" {
		t.Errorf("up wrote in one: %s", w)
	}
	if w := stranger(without(p.byTwo.written(), "/nodes/mfe2e-two-control-plane", "metallb")); w != "" {
		t.Errorf("up wrote in two: %s", w)
	}
	two := p.two.client(t)
	var nodes corev1.NodeList
	if err := two.List(t.Context(), &nodes); err != nil || nodes.Items[0].Labels[corev1.LabelTopologyZone] != "us-east-1" {
		t.Errorf("the nodes of two have no zone: %v", err)
	}
	for _, service := range []string{"istio-eastwestgateway", "istio-ingressgateway"} {
		if address, state, err := serviceAddress(t.Context(), two, "istio-system", service); !strings.HasPrefix(address, "10.94.8.20") {
			t.Errorf("%s has %q: %s %v", service, address, state, err)
		}
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan sees changes: %s", plan)
	}
	if again := m.must("up"); !strings.Contains(again.stdout, "nothing changed") {
		t.Errorf("the second up: %s", again)
	}
	rep := m.parse(m.must("verify", "-o", "json", "--suite", proven))
	t.Logf("verify: %.1f s, %v", rep.DurationSeconds, rep.Summary)
	if rep.Summary["pass"] == 0 || rep.Summary["fail"]+rep.Summary["inconclusive"] > 0 {
		t.Errorf("%v\n%s", rep.Summary, rep.words())
	}
	if status := m.must("status"); !strings.Contains(status.stdout, "10.94.8.20") {
		t.Errorf("status: %s", status)
	}
	m.must("down", "--delete-certs", "--yes", "-v")
	p.asBefore(t)
}

// translatedAndDropped: peers use another address than the gateway's own; then the cluster is
// taken out of the file, with the state directory lost and at hand.
func translatedAndDropped(t *testing.T, p *pair) {
	m := p.m
	const translated = "10.94.8.230"
	const one = labelled + west + atPeer
	p.write(t, "", one, labelled+east+atPeer+"    loadBalancer: {type: None}\n    eastWest: {addresses: ["+translated+"]}\n")
	m.must(p.up("--verify", "never")...)
	p.translate(t, translated)
	rep := m.parse(m.run("verify", "-o", "json", "--suite", "trust,discovery,weights,authorization"))
	t.Logf("verify: %.1f s, %v", rep.DurationSeconds, rep.Summary)
	if rep.Summary["pass"] == 0 || rep.Summary["fail"]+rep.Summary["inconclusive"] > 0 {
		t.Errorf("%v\n%s", rep.Summary, rep.words())
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan sees changes: %s", plan)
	}
	p.byOne.written()
	p.byTwo.written()

	p.write(t, "", one, "")
	aside := m.state + ".aside"
	if err := os.Rename(m.state, aside); err != nil {
		t.Fatal(err)
	}
	if plan := m.run("plan"); !strings.Contains(plan.stdout, "kept: cluster two is not in the file, and where it is is not recorded here") {
		t.Errorf("plan without state does not name what it can not find: %s", plan)
	}
	if up := m.run(p.up("--prune-clusters")...); up.code == 0 || !strings.Contains(up.stderr, "where two is is not recorded") || !strings.Contains(up.stderr, "put two back into the file") {
		t.Errorf("up forgets what it can not find: %s", up)
	}
	p.wroteNothing(t)
	_ = os.RemoveAll(m.state)
	if err := os.Rename(aside, m.state); err != nil {
		t.Fatal(err)
	}

	plan := m.run("plan")
	for _, want := range []string{"kept: cluster two of your own is not in the file", "istio-remote-secret-two"} {
		if !strings.Contains(plan.stdout, want) {
			t.Errorf("plan does not say %q:\n%s", want, plan.stdout)
		}
	}
	m.must(p.up("--verify", "never")...)
	if w := without(p.byTwo.written(), "/selfsubjectaccessreviews"); len(w) > 0 {
		t.Errorf("two was written to, and nobody asked for it: %v", w)
	}
	if has := contents(t, p.two.client(t)); !slices.ContainsFunc(has, func(s string) bool { return strings.HasPrefix(s, "Deployment.apps istio-system/istiod ") }) {
		t.Error("two has no istiod any more")
	}
	if has := contents(t, p.one.client(t)); slices.ContainsFunc(has, func(s string) bool { return strings.Contains(s, "istio-remote-secret-two") }) {
		t.Error("one still holds credentials for two")
	}
	// What the user makes in it meanwhile stays, and is told.
	route := virtualService()
	if err := p.two.client(t).ApplyValidated(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	pruned := m.must(p.up("--prune-clusters", "--verify", "never")...)
	if !strings.Contains(pruned.stderr, "VirtualService shop/web") {
		t.Errorf("up does not say what it kept: %s", pruned)
	}
	kept := removeRoute(t, p.two.client(t), route)
	t.Logf("%d definitions were kept", kept)
	if diff := sameContents(t, p.two.client(t), p.beforeTwo); diff != "" {
		t.Errorf("two is not as it was (-before +after):\n%s", diff)
	}
	if plan := m.run("plan"); strings.Contains(plan.stdout, "two") {
		t.Errorf("two is still spoken of: %s", plan)
	}
	m.must("down", "--delete-certs", "--yes")
	p.asBefore(t)
}

// translate makes the node of two answer at an address that nothing in the cluster knows of, and
// pass what comes for the gateway's port on to its pod, as a router in front of it would.
func (p *pair) translate(t *testing.T, address string) {
	t.Helper()
	c := p.two.client(t)
	var pods []corev1.Pod
	await(t, "the gateway's pod", func(ctx context.Context) (bool, string, error) {
		var err error
		pods, err = c.Pods(ctx, "istio-system", map[string]string{"app": "istio-eastwestgateway"})
		return err == nil && len(pods) == 1 && kube.PodReady(&pods[0]), fmt.Sprintf("%d pods", len(pods)), err
	})
	node := p.two.name + "-control-plane"
	podman().output(t, "exec", node, "ip", "address", "add", address+"/32", "dev", "eth0")
	podman().output(t, "exec", node, "iptables", "-t", "nat", "-I", "PREROUTING", "-d", address, "-p", "tcp", "--dport", "15443", "-j", "DNAT", "--to-destination", pods[0].Status.PodIP+":15443")
}

// refusal is a file, or something in a cluster, that does not fit, and what is said about it.
type refusal struct {
	name     string
	mesh     string
	one, two string
	prepare  func(t *testing.T) (undo func())
	want     []string
}

// refusals: everything that stands against the user's own clusters is told before anything is
// changed in any of them, all that is found at once.
func refusals(t *testing.T, p *pair) {
	dead := p.unanswered(t)
	for _, r := range []refusal{
		{
			name: "several at once", one: reached + atPeer, two: reached,
			prepare: func(t *testing.T) func() { return p.inTheWay(t) },
			want: []string{
				"one: looking whether it fits", "istio-system/istio-eastwestgateway has only a host name, gateway.example.com", "eastWest: {addresses: [...]}",
				"two: looking whether it fits", "nothing shows that there is a load balancer", "loadBalancer: {type: MetalLB, addresses: [...]}",
				"MutatingWebhookConfiguration company-policy calls Service shop/policy, which is not there",
				"MutatingWebhookConfiguration istio-sidecar-injector-canary is of another Istio",
				"loopback", "apiServer.peerAddress",
			},
		},
		{
			name: "an address with another cluster's certificate", one: reached + atPeer,
			two:  reached + metallb + "    apiServer: {peerAddress: \"" + p.one.peerAddress(t) + "\"}\n",
			want: []string{"two", "shows a certificate that its peers would not accept", "apiServer.peerAddress that is in the certificate"},
		},
		{name: "an API server that does not answer", one: reached + atPeer, two: strings.Replace(reached, "KUBECONFIG", dead, 1) + metallb + atPeer, want: []string{"two", "connection refused"}},
		{
			name: "roots that differ", one: reached + atPeer, two: reached + atPeer + metallb,
			prepare: func(t *testing.T) func() { return p.roots(t, false) },
			want:    []string{"the root of two differs from that of one"},
		},
		{
			name: "a root whose key is nowhere", one: reached + atPeer, two: reached + atPeer + metallb,
			prepare: func(t *testing.T) func() { return p.roots(t, true) },
			want:    []string{"already uses root", "the root key is not in", "put root.pem and root.key there"},
		},
		{
			name: "layers that somebody else owns, and that are not there", one: reached + atPeer,
			two:  reached + atPeer + metallb + "    manage: {istio: false, cacerts: false}\n",
			want: []string{"manage.istio is false, and there is no istiod of revision default"},
		},
		{
			name: "an intermediate that somebody else brings, and that is not there", one: reached + atPeer,
			two:  reached + atPeer + metallb + "    manage: {cacerts: false}\n",
			want: []string{"there is no secret cacerts in istio-system", "manage.cacerts is false"},
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			p.m.t = t
			if r.prepare != nil {
				defer r.prepare(t)()
			}
			p.write(t, r.mesh, r.one, r.two)
			up := p.m.run(p.up("--verify", "never")...)
			if up.code == 0 {
				t.Errorf("it is not refused: %s", up)
			}
			for _, want := range r.want {
				if !strings.Contains(up.stderr, want) {
					t.Errorf("it does not say %q:\n%s", want, up.stderr)
				}
			}
			p.wroteNothing(t)
		})
	}
	t.Run("an address that only the peers could reach", func(t *testing.T) {
		p.m.t = t
		p.write(t, "", reached+atPeer, reached+metallb+"    apiServer: {peerAddress: \"https://10.94.8.99:6443\"}\n")
		kept := p.m.run("plan", "--out", filepath.Join(t.TempDir(), "plan"), "--set", "spec.images.mirror=registry.example.com:1/none")
		if !strings.Contains(kept.stderr, "the API server of two does not answer this host at 10.94.8.99:6443") {
			t.Errorf("silence is not told of: %s", kept)
		}
		p.wroteNothing(t)
	})
	p.asBefore(t)
	if left, err := filepath.Glob(filepath.Join(p.m.state, p.m.name, "*")); err != nil || len(left) > 0 {
		t.Errorf("refused runs left %v in the state directory", left)
	}
}

// unanswered is the user's kubeconfig of two with a server at which nobody listens.
func (p *pair) unanswered(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(p.two.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(strings.TrimSpace(line), "server:") {
			line = line[:strings.Index(line, "server:")] + "server: https://127.0.0.1:1\n"
		}
		lines = append(lines, line)
	}
	path := filepath.Join(t.TempDir(), "dead.kubeconfig")
	text := strings.ReplaceAll(strings.Join(lines, ""), "kind-"+p.two.name, "prod")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
