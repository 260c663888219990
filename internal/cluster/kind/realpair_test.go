// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package kind

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/poll"
)

// TestRealPair makes two clusters side by side whose pods reach each other's API, and starts
// them again so that their nodes change addresses.
func TestRealPair(t *testing.T) {
	l := newLab(t, "mfhb-two")
	ctx, a, b := t.Context(), l.spec("a", 0), l.spec("b", 1)
	a.Ports = []cluster.Port{{Host: 31180, Node: 30080, Any: true}}
	b.Ports = a.Ports
	p := l.provider(t, a, b)
	specs := map[string]cluster.Spec{a.Name: a, b.Name: b}
	both := []string{a.Name, b.Name}
	ensure := func() error { return onEach(both, func(name string) error { return p.Ensure(ctx, specs[name]) }) }
	timed(t, "two made side by side", ensure)
	portsA, errA := p.Ports(ctx, a.Name)
	portsB, errB := p.Ports(ctx, b.Name)
	if errA != nil || errB != nil || portsA[30080] == portsB[30080] || portsA[30080] < 31180 {
		t.Errorf("ports %v and %v, %v, %v", portsA, portsB, errA, errB)
	}
	l.reach(t, p, a, b)
	l.reach(t, p, b, a)

	// The other order gives them each other's addresses, or new ones.
	for _, verb := range []string{"stop --time 0", "start"} {
		for _, name := range []string{b.Name, a.Name} {
			if _, err := l.engine.Run(ctx, append(strings.Fields(verb), name+"-control-plane")...); err != nil {
				t.Fatal(err)
			}
		}
	}
	timed(t, "both started again", ensure)
	l.reach(t, p, a, b)
	l.reach(t, p, b, a)
	if nodes, err := p.Nodes(ctx, b.Name); err != nil || len(nodes) != 1 || nodes[0].Address != nodes[0].Recorded {
		t.Errorf("%+v, %v", nodes, err)
	}
	// Started by someone else, as Docker does after the host was started.
	if _, err := l.engine.Run(ctx, "stop", "--time", "0", a.Name+"-control-plane", b.Name+"-control-plane"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.engine.Run(ctx, "start", a.Name+"-control-plane", b.Name+"-control-plane"); err != nil {
		t.Fatal(err)
	}
	err := poll.Until(ctx, poll.Options{What: "the API of " + b.Name, Deadline: time.Minute}, func(ctx2 context.Context) (bool, string, error) {
		status, err := p.Look(ctx2, b)
		if status.State == cluster.Ready {
			t.Logf("notes: %q", status.Notes)
		}
		return status.State == cluster.Ready, status.Reason, err
	})
	if err != nil {
		t.Fatal(err)
	}
	timed(t, "ensured", ensure)
	if status, err := p.Look(ctx, b); err != nil || status.State != cluster.Ready || len(status.Notes) != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	l.loads(t, p, a)
}

// reach asks the API of one cluster from the network of a pod of another, with a pod's
// resolver, and checks the certificate.
func (l *lab) reach(t *testing.T, p *Provider, from, to cluster.Spec) {
	t.Helper()
	server, err := p.InternalServer(t.Context(), to.Name)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := l.engine.Run(t.Context(), "exec", to.Name+"-control-plane", "cat", "/etc/kubernetes/pki/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	dns := strings.TrimSuffix(from.ServiceSubnet, "0/24") + "10"
	script := `set -e; cat > /run/peer.crt; { echo "search default.svc.cluster.local svc.cluster.local cluster.local $(sed -n 's/^search //p' /etc/resolv.conf)"; ` +
		`echo "nameserver ` + dns + `"; echo "options ndots:5"; } > /run/pod-resolv.conf; ` +
		`exec nsenter --target "$(pgrep --oldest coredns)" --net unshare --mount sh -c 'mount --bind /run/pod-resolv.conf /etc/resolv.conf && ` +
		`curl --silent --show-error --max-time 5 --cacert /run/peer.crt --write-out "%{remote_ip} after %{time_namelookup} s" ` + server + `/version || ` +
		`{ e=$?; getent ahostsv4 ` + to.Name + `-control-plane >&2; ip -brief -4 address >&2; exit $e; }'`
	err = poll.Until(t.Context(), poll.Options{What: "an answer of " + server, Interval: 500 * time.Millisecond, Deadline: time.Minute},
		func(ctx context.Context) (bool, string, error) {
			var out bytes.Buffer
			err := l.engine.Pipe(ctx, strings.NewReader(ca), &out, "exec", "--interactive", from.Name+"-control-plane", "sh", "-c", script)
			if err != nil {
				return false, err.Error(), nil
			}
			text := out.String()
			t.Logf("from a pod of %s: %s: %s", from.Name, server, text[strings.LastIndex(text, "}")+1:])
			return strings.Contains(text, "gitVersion"), text, nil
		})
	if err != nil {
		t.Error(err)
	}
}

// loads brings an image into a cluster that nobody else has.
func (l *lab) loads(t *testing.T, p *Provider, s cluster.Spec) {
	t.Helper()
	image, err := random.Image(100_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("docker.io/library/mfhb-made:1")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, image, &archive); err != nil {
		t.Fatal(err)
	}
	err = p.LoadImages(t.Context(), s.Name, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	images, err := p.Images(t.Context(), s.Name)
	if err != nil || !slices.Contains(images, "docker.io/library/mfhb-made:1") || len(images) < 5 {
		t.Errorf("images %q, %v", images, err)
	}
	id, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	err = poll.Until(t.Context(), poll.Options{What: "the id of the image", Deadline: 20 * time.Second}, func(ctx context.Context) (bool, string, error) {
		ids, err := p.ImageIDs(ctx, s.Name)
		return ids["docker.io/library/mfhb-made:1"] == id.String(), ids["docker.io/library/mfhb-made:1"], err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRealEngineRestart has the engine start again by the command that MESHFED_TEST_RESTART
// holds: what becomes of the nodes is up to it.
func TestRealEngineRestart(t *testing.T) {
	command := os.Getenv("MESHFED_TEST_RESTART")
	if command == "" {
		t.Skip("MESHFED_TEST_RESTART says not how to start the engine again")
	}
	l := newLab(t, "mfhb-again")
	ctx, a, b := t.Context(), l.spec("a", 0), l.spec("b", 1)
	p := l.provider(t, a, b)
	specs := []cluster.Spec{a, b}
	for _, s := range specs {
		timed(t, "made", func() error { return p.Ensure(ctx, s) })
	}
	if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	for range 2 {
		for _, s := range specs {
			status, err := p.Look(ctx, s)
			t.Logf("%s: %s (%s) %q, %v", s.Name, status.State, status.Reason, status.Notes, err)
			if err == nil && (status.State == cluster.HalfMade || status.State == cluster.Absent) {
				t.Errorf("it would be made again")
			}
		}
	}
	for _, s := range specs {
		timed(t, "started again", func() error { return p.Ensure(ctx, s) })
	}
	l.reach(t, p, a, b)
	l.reach(t, p, b, a)
}
