// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package kind

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// TestRealWorkers makes a cluster of two nodes and has them change addresses.
func TestRealWorkers(t *testing.T) {
	l := newLab(t, "mfhb-many")
	ctx, spec := t.Context(), l.spec("a", 0)
	spec.Nodes = append(spec.Nodes, cluster.Node{Role: "worker", Labels: map[string]string{topology.LabelRegion: "us-west", topology.LabelZone: "us-west-2"}})
	p := l.provider(t, spec)
	timed(t, "made", func() error { return p.Ensure(ctx, spec) })
	expect(t, p, spec, cluster.Ready)
	control, worker := spec.Name+"-control-plane", spec.Name+"-worker"
	l.far(t, p, spec)
	l.settled(t, p, spec)

	if _, err := l.engine.Run(ctx, "exec", control, "ip", "route", "del", "10.10.1.0/24"); err != nil {
		t.Fatal(err)
	}
	expect(t, p, spec, cluster.Impaired)
	timed(t, "mended", func() error { return p.Ensure(ctx, spec) })
	l.settled(t, p, spec)

	// Whoever has the higher address goes first, and gets that of the other or a new one.
	list, err := p.Nodes(ctx, spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	higher := slices.MaxFunc(list, func(a, b cluster.NodeStatus) int { return a.Address.Compare(b.Address) })
	for _, args := range [][]string{{"stop", "--time", "0", control, worker}, {"start", higher.Name}} {
		if _, err := l.engine.Run(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, p, spec, cluster.Stopped)
	timed(t, "started again", func() error { return p.Ensure(ctx, spec) })
	expect(t, p, spec, cluster.Ready)
	l.settled(t, p, spec)
}

// settled waits until every node is ready at its address of now, and a pod of each is reached
// from the other.
func (l *lab) settled(t *testing.T, p *Provider, s cluster.Spec) {
	t.Helper()
	list, err := p.Nodes(t.Context(), s.Name)
	if err != nil {
		t.Fatal(err)
	}
	const format = `{range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address} {.status.conditions[?(@.type=="Ready")].status} {.metadata.labels.topology\.kubernetes\.io/zone}{"\n"}{end}`
	err = poll.Until(t.Context(), poll.Options{What: "the nodes", Deadline: time.Minute}, func(ctx context.Context) (bool, string, error) {
		out, err := l.engine.Run(ctx, "exec", s.Name+"-control-plane", "kubectl", "--kubeconfig="+adminConf, "get", "nodes", "--output=jsonpath="+format)
		for _, n := range list {
			if !strings.Contains(out, n.Name+" "+n.Address.String()+" True") {
				return false, out, err
			}
		}
		return strings.Contains(out, "us-west-2"), out, err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A connection from a pod of the control plane to one of the worker needs both routes.
	const script = `ip=$(kubectl --kubeconfig=` + adminConf + ` get pod far --output=jsonpath='{.status.podIP}') && ` +
		`nsenter --target "$(pgrep --oldest coredns)" --net timeout 2 bash -c "exec 3<>/dev/tcp/$ip/53 && echo reached $ip"`
	err = poll.Until(t.Context(), poll.Options{What: "the pods", Deadline: 90 * time.Second}, func(ctx context.Context) (bool, string, error) {
		out, err := l.engine.Run(ctx, "exec", s.Name+"-control-plane", "bash", "-c", script)
		if err != nil {
			return false, err.Error(), nil
		}
		t.Log(out)
		return strings.Contains(out, "reached 10."), out, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// far starts a pod on the worker that listens: CoreDNS, which every node has.
func (l *lab) far(t *testing.T, p *Provider, s cluster.Spec) {
	t.Helper()
	images, err := p.Images(t.Context(), s.Name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(images, func(image string) bool { return strings.Contains(image, "coredns") && !strings.Contains(image, "@") })
	if i < 0 {
		t.Fatalf("no coredns in %q", images)
	}
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: far}\nspec:\n  nodeName: " + s.Name + "-worker\n  containers: [{name: far, imagePullPolicy: Never, image: \"" + images[i] + "\"}]\n"
	err = poll.Until(t.Context(), poll.Options{What: "a pod", Deadline: time.Minute}, func(ctx context.Context) (bool, string, error) {
		// The service account may not be there yet.
		err := l.engine.Pipe(ctx, strings.NewReader(pod), nil, "exec", "--interactive", s.Name+"-control-plane", "kubectl", "--kubeconfig="+adminConf, "apply", "--filename=-")
		return err == nil, "it is not accepted", err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRealSharedNetwork makes a cluster beside that of someone else, on a network that is
// everybody's.
func TestRealSharedNetwork(t *testing.T) {
	l := newLab(t, "mfhb-all")
	ctx, spec := t.Context(), l.spec("a", 0)
	p := l.provider(t, spec)
	p.Shared = true
	theirs := l.top.KindName("theirs")
	_, err := l.engine.Run(ctx, "run", "--detach", "--name", theirs+"-control-plane", "--label", clusterLabel+"="+theirs, "--network", l.net.Name,
		"--entrypoint", "sleep", l.image, "300")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.RemoveContainers(l.afterwards(t), l.engine, theirs+"-control-plane"); err != nil {
			t.Error(err)
		}
	})
	interrupt, cut := context.WithCancel(ctx)
	p.Observe = func(_ context.Context, name, state string) {
		t.Logf("%s: %s", name, state)
		if state == "preparing nodes" {
			time.AfterFunc(500*time.Millisecond, cut)
		}
	}
	if err := p.Ensure(interrupt, spec); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	timed(t, "made", func() error { return p.Ensure(ctx, spec) })
	if list, err := p.List(ctx); err != nil || strings.Join(list, " ") != spec.Name {
		t.Errorf("%q, %v", list, err)
	}
	if err := p.Delete(ctx, theirs); !errors.Is(err, cluster.ErrForeign) {
		t.Errorf("removing what is theirs: %v", err)
	}
	// Another folder: what was noted down is lost, the record in the node remains.
	p.Dir = t.TempDir()
	expect(t, p, spec, cluster.Ready)
	if _, err := l.engine.Run(ctx, "kill", spec.Name+"-control-plane"); err != nil {
		t.Fatal(err)
	}
	expect(t, p, spec, cluster.Stopped)
	if err := p.Delete(ctx, spec.Name); err != nil {
		t.Error(err)
	}
	if list, err := cluster.Containers(ctx, l.engine, "network="+l.net.Name); err != nil || len(list) != 1 || list[0].Name != theirs+"-control-plane" {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestRealRegistry has a node pull from a registry without TLS at the gateway of the network, by
// a name of another registry, on the network that kind makes where there is none.
func TestRealRegistry(t *testing.T) {
	l := newLab(t, "mfhb-pull")
	ctx, spec := t.Context(), l.spec("a", 0)
	if _, err := cluster.JoinNetwork(ctx, l.engine, "kind"); !errors.Is(err, cluster.ErrNoNetwork) {
		t.Skipf("the network called kind is in use: %v", err)
	}
	listener, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	image, err := random.Image(50_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("localhost:" + port + "/mfhb/pulled:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}

	p := New(l.engine, l.facts, "kind", l.labels)
	p.Shared, p.Dir, p.Command = true, l.dir, []string{os.Args[0]}
	p.Observe = func(_ context.Context, name, state string) { t.Logf("%s: %s", name, state) }
	t.Cleanup(func() {
		if err := p.Delete(l.afterwards(t), spec.Name); err != nil {
			t.Error(err)
		}
		// It was not there before; whoever has joined it meanwhile keeps it.
		_, _ = l.engine.Run(l.afterwards(t), "network", "rm", "kind")
	})
	// The gateway's address is known only when the network is.
	spec.Registries = []cluster.Registry{{Host: "docker.io", Server: "http://" + l.net.Gateway.String() + ":" + port}}
	timed(t, "made", func() error { return p.Ensure(ctx, spec) })
	n, err := cluster.JoinNetwork(ctx, l.engine, "kind")
	if err != nil {
		t.Fatal(err)
	}
	spec.Registries[0].Server = "http://" + n.Gateway.String() + ":" + port
	timed(t, "told another address", func() error { return p.Ensure(ctx, spec) })
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: pulls}\nspec:\n  containers: [{name: a, image: \"docker.io/mfhb/pulled:1\"}]\n"
	err = poll.Until(ctx, poll.Options{What: "the image", Deadline: time.Minute, Interval: time.Second}, func(ctx context.Context) (bool, string, error) {
		if err := l.engine.Pipe(ctx, strings.NewReader(pod), nil, "exec", "--interactive", spec.Name+"-control-plane", "kubectl", "--kubeconfig="+adminConf, "apply", "--filename=-"); err != nil {
			return false, err.Error(), nil
		}
		images, err := p.Images(ctx, spec.Name)
		return slices.Contains(images, "docker.io/mfhb/pulled:1"), strings.Join(images, " "), err
	})
	if err != nil {
		t.Error(err)
	}
}
