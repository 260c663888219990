// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

// twoContainers answers as a host with a cluster of two nodes.
func twoContainers(worker string) []clustertest.Answer {
	both := strings.TrimSuffix(inspect("lab-west", "running", "meshfed-lab", 1), "]") + `, {"Id": "w", "Name": "lab-west-worker", "State": {"Status": "` + worker + `"},
		"Config": {"Labels": {"io.x-k8s.kind.cluster": "lab-west"}}, "NetworkSettings": {"Networks": {"meshfed-lab": {"IPAddress": "10.90.0.3"}}}}]`
	return []clustertest.Answer{{To: "ps", Out: "a\nb"}, {To: "container inspect", Out: both}}
}

func TestImagesAreThoseThatEveryNodeHas(t *testing.T) {
	t.Parallel()
	const head = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
	p, _, _ := fakeProvider(t, "ok", append(twoContainers("running"),
		clustertest.Answer{To: "exec lab-west-control-plane ctr --namespace=k8s.io images list", Out: head +
			"docker.io/a:1 application/x sha256:11 2.0 MiB linux/amd64 -\nquay.io/b:2 application/x sha256:22 - - -\nsha256:aa application/x sha256:11 2.0 MiB linux/amd64 -\ndocker.io/c:1 application/x sha256:33 1 B - -\n"},
		clustertest.Answer{To: "exec lab-west-worker ctr --namespace=k8s.io images list", Out: head +
			"docker.io/a:1 application/x sha256:11 2.0 MiB linux/amd64 -\nsha256:aa application/x sha256:11 2.0 MiB linux/amd64 -\ndocker.io/c:1 application/x sha256:44 1 B - -\nsha256:cc application/x sha256:44 1 B - -\n"})...)
	got, err := p.Images(t.Context(), "lab-west")
	if diff := cmp.Diff([]string{"docker.io/a:1", "docker.io/c:1"}, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	ids, err := p.ImageIDs(t.Context(), "lab-west")
	if diff := cmp.Diff(map[string]string{"docker.io/a:1": "sha256:aa"}, ids); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	p, _, _ = fakeProvider(t, "ok", twoContainers("exited")...)
	if _, err := p.Images(t.Context(), "lab-west"); err == nil || !strings.Contains(err.Error(), "lab-west-worker is exited") {
		t.Errorf("%v", err)
	}
}

func TestLoadImagesGoesToEveryNode(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", append(twoContainers("running"), clustertest.Answer{To: "exec --interactive lab-west-worker", Fails: "ctr: unrecognized image format"})...)
	var opened, closed atomic.Int32
	err := p.LoadImages(t.Context(), "lab-west", func() (io.ReadCloser, error) {
		opened.Add(1)
		return counted{strings.NewReader("the archive"), &closed}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "into lab-west-worker") || !strings.Contains(err.Error(), "unrecognized image format") || strings.Contains(err.Error(), "into lab-west-control-plane") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff([]string{"the archive", "the archive"}, e.Stdin()); diff != "" || opened.Load() != 2 || closed.Load() != 2 {
		t.Errorf("opened %d, closed %d, %s", opened.Load(), closed.Load(), diff)
	}
	err = p.LoadImages(t.Context(), "lab-west", func() (io.ReadCloser, error) { return nil, errors.New("no such file") })
	if err == nil || !strings.Contains(err.Error(), "opening the archive: no such file") {
		t.Errorf("%v", err)
	}
}

func TestLoadImagesWithoutAPlatform(t *testing.T) {
	t.Parallel()
	p, e, _ := fakeProvider(t, "ok", append(exists("running", "meshfed-lab", 1),
		clustertest.Answer{To: "exec --interactive", Fails: "ctr: image might be filtered out", Once: true})...)
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("the archive")), nil }
	if err := p.LoadImages(t.Context(), "lab-west", open); err != nil {
		t.Fatal(err)
	}
	if calls := e.Calls("exec --interactive"); len(calls) != 2 || !strings.HasSuffix(calls[1], "--all-platforms") {
		t.Errorf("calls: %q", calls)
	}
}

type counted struct {
	io.Reader
	closed *atomic.Int32
}

func (c counted) Close() error { c.closed.Add(1); return nil }

func TestNodes(t *testing.T) {
	t.Parallel()
	_, r := twoNodes()
	r.Nodes["lab-west-worker"] = nodeRecord{Address: netip.MustParseAddr("10.90.0.7")}
	p, _, _ := fakeProvider(t, "ok", append(twoContainers("exited"), recordedAs(t, r, ""))...)
	got, err := p.Nodes(t.Context(), "lab-west")
	want := []cluster.NodeStatus{
		{Name: "lab-west-control-plane", State: "running", Address: netip.MustParseAddr("10.90.0.2"), Recorded: netip.MustParseAddr("10.90.0.2")},
		{Name: "lab-west-worker", State: "exited", Address: netip.MustParseAddr("10.90.0.3"), Recorded: netip.MustParseAddr("10.90.0.7")},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestHostsFile(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"http://10.90.0.1:5000":       "server = \"http://10.90.0.1:5000\"\n\n[host.\"http://10.90.0.1:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
		"mirror.example.com":          "server = \"https://mirror.example.com\"\n\n[host.\"https://mirror.example.com\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
		"https://m.example.com/a/b/":  "server = \"https://m.example.com/v2/a/b\"\n\n[host.\"https://m.example.com/v2/a/b\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
		"":                            "",
		"ftp://x":                     "",
		"https://u:planted@x.example": "",
		"http://x?a=b":                "",
	} {
		got, err := hostsFile(cluster.Registry{Host: "docker.io", Server: server})
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %q, %v", server, got, err)
		}
	}
	for _, host := range []string{"", "a b", "../x", "a/b", "x;reboot", "$(id)", "-x"} {
		if _, err := hostsFile(cluster.Registry{Host: host, Server: "http://x"}); err == nil {
			t.Errorf("host %q is accepted", host)
		}
	}
}

// What a spec gets wrong is said before anything is made.
func TestEnsureRefusesBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	patches, planes, registry := west(), west(), west()
	patches.Patches = []string{"kind: KubeletConfiguration\nmaxPods: 50\n", "no patch"}
	planes.Nodes = append(planes.Nodes, cluster.Node{Role: "control-plane"})
	registry.Registries = []cluster.Registry{{Host: "a/b", Server: "http://x"}}
	for want, s := range map[string]cluster.Spec{"patches[1] is no patch": patches, "2 control-plane nodes": planes, `"a/b" is no host`: registry} {
		p, e, _ := fakeProvider(t, "ok", nothing()...)
		if err := p.Ensure(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) || len(e.Calls("")) != 0 {
			t.Errorf("%v, calls %q", err, e.Calls(""))
		}
	}
}

func TestRegistriesAreWrittenBeforeKubernetesStarts(t *testing.T) {
	t.Parallel()
	s := west()
	s.Registries = []cluster.Registry{{Host: "10.90.0.1:5000", Server: "http://10.90.0.1:5000"}}
	p, e, _ := fakeProvider(t, "ok", nothing()...)
	if err := p.Ensure(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	calls := e.Calls("exec --interactive lab-west-control-plane sh -c mkdir -p /etc/containerd/certs.d/10.90.0.1:5000")
	if len(calls) != 1 || !strings.Contains(strings.Join(e.Stdin(), ""), `server = "http://10.90.0.1:5000"`) {
		t.Errorf("calls %q, written %q", calls, e.Stdin())
	}
}
