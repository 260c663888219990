//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// own is a cluster of the user's: made by kind's own command, before and beside the program, with
// a load balancer that the user has installed.
type own struct {
	name, kind, kubeconfig, network string
	env                             []string
}

// bridge is the CNI configuration that a node of a source-built image needs: it has no manifest
// of a network of its own.
const bridge = `{"cniVersion": "1.0.0", "name": "own", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
"ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}, {"type": "portmap", "capabilities": {"portMappings": true}}]}
`

// startOwn makes the network, the cluster and its load balancer.
func startOwn(t *testing.T, name, subnet, pods, balanced string) own {
	t.Helper()
	network := name + "-net"
	ownNetwork(t, network, subnet)
	return joinOwn(t, network, name, pods, balanced)
}

// ownNetwork makes a container network for clusters of the user's.
func ownNetwork(t *testing.T, name, subnet string) {
	t.Helper()
	podman().output(t, "network", "create", "--subnet", subnet, name)
	t.Cleanup(func() {
		if out, err := exec.Command("podman", "network", "rm", "-f", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// joinOwn makes a cluster on a network, and its load balancer where it is given addresses.
func joinOwn(t *testing.T, network, name, pods, balanced string) own {
	t.Helper()
	dir := t.TempDir()
	o := own{name: name, kind: filepath.Join(dir, "kind"), kubeconfig: filepath.Join(dir, name+".kubeconfig"), network: network}
	facts, err := cluster.Detect(t.Context(), "podman")
	if err != nil {
		t.Fatal(err)
	}
	podmanEngine, err := cluster.Prepare(t.Context(), facts, dir)
	if err != nil {
		t.Fatal(err)
	}
	o.env = append(os.Environ(), "KIND_EXPERIMENTAL_PROVIDER=podman", "KIND_EXPERIMENTAL_PODMAN_NETWORK="+o.network)
	if conf := filepath.Join(dir, "containers.conf"); isThere(conf) {
		o.env = append(o.env, "CONTAINERS_CONF="+conf)
	}
	b, err := bundle.Open(bundle.DefaultDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.LoadNodeImage(t.Context(), podmanEngine); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", o.kind, "sigs.k8s.io/kind").CombinedOutput(); err != nil {
		t.Fatalf("building kind: %v\n%s", err, out)
	}
	t.Cleanup(func() { o.remove(t) })
	config := filepath.Join(dir, "kind.yaml")
	text := strings.Replace(bystanderConfig, "{disableDefaultCNI: true}", fmt.Sprintf("{disableDefaultCNI: true, podSubnet: %q}", pods), 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.must(t, o.kind, "create", "cluster", "--name", name, "--config", config, "--kubeconfig", o.kubeconfig, "--image", b.NodeImage, "--retain")
	first, err := netip.ParsePrefix(pods)
	if err != nil {
		t.Fatal(err)
	}
	feed := exec.Command("podman", "exec", "-i", name+"-control-plane", "sh", "-c", "cat > /etc/cni/net.d/10-own.conflist")
	feed.Stdin = strings.NewReader(fmt.Sprintf(bridge, netip.PrefixFrom(first.Addr(), 24).String()))
	if out, err := feed.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o.awaitNode(t)
	if balanced != "" {
		o.balance(t, b, balanced)
	}
	return o
}

func (o own) awaitNode(t *testing.T) {
	t.Helper()
	c := o.client(t)
	await(t, "the node of "+o.name, func(ctx context.Context) (bool, string, error) {
		var nodes corev1.NodeList
		err := c.List(ctx, &nodes)
		ready := err == nil && len(nodes.Items) == 1 && slices.ContainsFunc(nodes.Items[0].Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		return ready, "it is not ready", err
	})
	// The controllers have made all that they make by themselves when this one's pods are ready.
	await(t, "the DNS of "+o.name, func(ctx context.Context) (bool, string, error) {
		return c.DeploymentState(ctx, "kube-system", "coredns")
	})
}

func isThere(path string) bool { _, err := os.Stat(path); return err == nil }

// balance installs a load balancer for the user, who is nobody of the topology under test, and
// a Service that has an address of it.
func (o own) balance(t *testing.T, b *bundle.Bundle, addresses string) {
	t.Helper()
	chart, err := b.Chart("metallb")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := topology.Parse("theirs.yaml", []byte("apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: theirs}\nspec: {clusters: [{name: "+o.name+"}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := o.client(t)
	part := install.MetalLB{Mesh: install.Mesh{Topology: theirs, Owner: "0123456789abcdef"}, Chart: chart, Addresses: []string{addresses}}
	if err := part.Do(t.Context(), c, graph.Change{Action: graph.Create}); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), kube.Namespace("shop", map[string]string{"team": "shop"})); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{}
	service.Namespace, service.Name = "shop", "web"
	service.Spec.Type, service.Spec.Ports = corev1.ServiceTypeLoadBalancer, []corev1.ServicePort{{Port: 80}}
	if err := c.Create(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	await(t, "an address of Service shop/web", func(ctx context.Context) (bool, string, error) {
		address, state, err := serviceAddress(ctx, c, "shop", "web")
		return address != "", state, err
	})
}

func serviceAddress(ctx context.Context, c *kube.Client, namespace, name string) (string, string, error) {
	var found corev1.Service
	found.Namespace, found.Name = namespace, name
	if err := c.Get(ctx, keyOf(&found), &found); err != nil {
		return "", "", err
	}
	for _, in := range found.Status.LoadBalancer.Ingress {
		return in.IP, "", nil
	}
	return "", "it has none", nil
}

func await(t *testing.T, what string, look func(context.Context) (bool, string, error)) {
	t.Helper()
	if err := poll.Until(t.Context(), poll.Options{What: what, Interval: 300 * time.Millisecond, Deadline: 5 * time.Minute}, look); err != nil {
		t.Fatal(err)
	}
}

func (o own) client(t *testing.T) *kube.Client {
	t.Helper()
	c, err := kube.Load(o.name, o.kubeconfig, "kind-"+o.name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (o own) must(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = o.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (o own) remove(t *testing.T) {
	t.Helper()
	cmd := exec.Command(o.kind, "delete", "cluster", "--name", o.name, "--kubeconfig", o.kubeconfig)
	cmd.Env = o.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// peerAddress is where pods on the container network reach the API server.
func (o own) peerAddress(t *testing.T) string {
	t.Helper()
	address := podman().output(t, "inspect", "--format", "{{(index .NetworkSettings.Networks \""+o.network+"\").IPAddress}}", o.name+"-control-plane")
	return "https://" + address + ":6443"
}

// contents is everything in a cluster with its labels, but for what moves by itself.
func contents(t *testing.T, c *kube.Client) []string {
	t.Helper()
	all, err := install.Objects(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, o := range all {
		switch o.Kind {
		case "Event", "Event.events.k8s.io", "Lease.coordination.k8s.io", "PodMetrics.metrics.k8s.io", "NodeMetrics.metrics.k8s.io":
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %v", o, o.Labels))
	}
	return lines
}

// sameContents compares what a cluster holds with what it held. An API server registers an
// APIService for each group of its custom resources by itself and takes it away some seconds
// after the last definition of the group: those are waited for, nothing else.
func sameContents(t *testing.T, c *kube.Client, before []string) (diff string) {
	t.Helper()
	stale := func(line string) bool {
		return strings.HasPrefix(line, "APIService.") && strings.Contains(line, "kube-aggregator.kubernetes.io/automanaged") && !slices.Contains(before, line)
	}
	err := poll.Until(t.Context(), poll.Options{What: "the API server to take away the APIServices of groups that are gone", Deadline: time.Minute}, func(context.Context) (bool, string, error) {
		now := contents(t, c)
		diff = cmp.Diff(before, now)
		return !slices.ContainsFunc(now, stale), diff, nil
	})
	if err != nil {
		t.Error(err)
	}
	return diff
}

// sameLines compares two lists; "" for no difference.
func sameLines(before, after []string) string { return cmp.Diff(before, after) }

// goneFrom says whether a cluster has an object no longer.
func goneFrom(c *kube.Client, obj client.Object) func(context.Context) (bool, string, error) {
	return func(ctx context.Context) (bool, string, error) {
		err := c.Get(ctx, keyOf(obj), obj)
		if kube.Absent(err) {
			return true, "", nil
		}
		return false, "it is still there", err
	}
}
