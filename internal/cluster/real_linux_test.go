// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

const realImage = "localhost/mfha-tiny:1"

// TestRealEngines does on the engines of this host what the package is for. It needs
// MESHFED_REAL_DOCKER, which says that DOCKER_HOST leads to a Docker Engine and that podman
// is installed, too; everything that it makes begins with mfha and is removed.
func TestRealEngines(t *testing.T) {
	if os.Getenv("MESHFED_REAL_DOCKER") == "" {
		t.Skip("MESHFED_REAL_DOCKER is not set")
	}
	archive := tinyImage(t)
	for _, engine := range []string{docker, podman} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			facts, err := Detect(t.Context(), engine)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", facts)
			if facts.Remote || facts.DiskUnknown || facts.FreeDisk == 0 || facts.Arch == "" {
				t.Errorf("facts of this host: %+v", facts)
			}
			e, err := Prepare(t.Context(), facts, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			real{t, e, "mfha-" + engine}.all(archive)
		})
	}
}

type real struct {
	*testing.T
	e    Engine
	name string
}

// removeImage removes the test's image; absent is success.
func (r real) removeImage(ctx context.Context) error {
	if _, err := r.e.Run(ctx, "image", "rm", "--force", realImage); err != nil && !absent(err) {
		return err
	}
	return nil
}

func (r real) all(archive []byte) {
	ctx := r.Context()
	labels := map[string]string{topology.LabelTopology: r.name, topology.LabelOwner: "mfha"}
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(RemoveContainers(ctx, r.e, r.name+"-a", r.name+"-b"), RemoveNetwork(ctx, r.e, r.name, labels),
			r.removeImage(ctx)); err != nil {
			r.Error(err)
		}
	})
	if err := r.e.Pipe(ctx, bytes.NewReader(archive), nil, "load", "--quiet"); err != nil {
		r.Fatal(err)
	}
	if got, ok, err := ImageLabels(ctx, r.e, realImage); err != nil || !ok || got["a"] != "b" {
		r.Errorf("image: %v, %v, %v", got, ok, err)
	}
	if _, ok, err := ImageLabels(ctx, r.e, "localhost/mfha-nosuch:1"); err != nil || ok {
		r.Errorf("no image: %v, %v", ok, err)
	}
	n := r.network(labels)
	a, b := r.start("a", n), r.start("b", n)
	r.volumes(a)
	r.names(n, b)
	r.run(n, labels)
	r.inUse(n, a, b)
	if err := RemoveNetwork(ctx, r.e, n.Name, labels); err == nil || !strings.Contains(err.Error(), a.Name) {
		r.Errorf("a network in use: %v", err)
	}
	if _, err := r.e.Run(ctx, "kill", a.Name); err != nil {
		r.Fatal(err)
	}
	dead := r.find("a", func(c Container) bool { return !c.Running() })
	if dead.State != "exited" || !dead.On(n.Name) || dead.Networks[n.Name].IsValid() {
		r.Errorf("killed: %+v", dead)
	}
	for range 2 {
		if err := RemoveContainers(ctx, r.e, a.Name, b.Name); err != nil {
			r.Error(err)
		}
	}
	if left, err := Containers(ctx, r.e, "network="+n.Name); err != nil || len(left) > 0 {
		r.Errorf("left: %v, %v", left, err)
	}
	for range 2 {
		if err := RemoveNetwork(ctx, r.e, n.Name, labels); err != nil {
			r.Error(err)
		}
		if err := r.removeImage(ctx); err != nil {
			r.Error(err)
		}
	}
}

func (r real) network(labels map[string]string) Network {
	if _, err := JoinNetwork(r.Context(), r.e, r.name); !errors.Is(err, ErrNoNetwork) {
		r.Errorf("joining nothing: %v", err)
	}
	s := NetworkSpec{Name: r.name, Labels: labels, Range: new(topology.Topology).NodeRange}
	n, err := EnsureNetwork(r.Context(), r.e, s)
	if err != nil {
		r.Fatal(err)
	}
	r.Logf("%+v", n)
	if !n.OwnedBy(labels) || !n.DNS || n.Gateway != n.Subnet.Addr().Next() || n.Last != n.Subnet.Addr().Next().Next() && n.Last.As4()[3] != 127 {
		r.Errorf("made: %+v", n)
	}
	again, err := EnsureNetwork(r.Context(), r.e, s)
	if err != nil || again.Subnet != n.Subnet {
		r.Errorf("made again: %+v, %v", again, err)
	}
	if joined, err := JoinNetwork(r.Context(), r.e, r.name); err != nil || joined.Subnet != n.Subnet {
		r.Errorf("joined: %+v, %v", joined, err)
	}
	s.Labels = map[string]string{topology.LabelTopology: "other", topology.LabelOwner: "o"}
	if _, err := EnsureNetwork(r.Context(), r.e, s); !errors.Is(err, ErrForeign) {
		r.Errorf("of someone else: %v", err)
	}
	return n
}

// start starts a container with a volume and a published port.
func (r real) start(suffix string, n Network) Container {
	name := r.name + "-" + suffix
	if _, err := r.e.Run(r.Context(), "run", "--detach", "--pull", "never", "--name", name, "--network", n.Name, "--label", name+"=",
		"--volume", "/data", "--publish", "127.0.0.1::6443", realImage, "stay"); err != nil {
		r.Fatal(err)
	}
	c := r.find(suffix, Container.Running)
	if c.Name != name || c.Image != realImage || !n.Subnet.Contains(c.Networks[n.Name]) || c.Ports[6443] == 0 {
		r.Errorf("started: %+v", c)
	}
	return c
}

func (r real) find(suffix string, want func(Container) bool) Container {
	var c Container
	err := poll.Until(r.Context(), poll.Options{What: "the container", Deadline: 30 * time.Second}, func(ctx context.Context) (bool, string, error) {
		// As kind's containers are found: by a pattern of the whole name.
		list, err := Containers(ctx, r.e, "name=^"+r.name+"-"+suffix+"$", "network="+r.name)
		if err != nil || len(list) != 1 {
			return false, "", errors.Join(err, errors.New("not one container"))
		}
		c = list[0]
		return want(c), c.State, nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

func (r real) volumes(c Container) {
	name := r.name + "-volume"
	value := "x"
	if isDocker(r.e) {
		// Podman takes a comma for the end of a label.
		value = "x,y=z"
	}
	if _, err := r.e.Run(r.Context(), "volume", "create", "--label", c.Name+"=", "--label", "comma="+value, name); err != nil {
		r.Fatal(err)
	}
	list, err := Volumes(r.Context(), r.e)
	i := slices.IndexFunc(list, func(v Volume) bool { return v.Name == name })
	if err != nil || i < 0 || list[i].Labels["comma"] != value || len(list[i].Labels) != 2 {
		r.Errorf("volumes: %v, %v", list, err)
	}
	if _, err := r.e.Run(r.Context(), "volume", "rm", name); err != nil {
		r.Error(err)
	}
}

// names proves that Network.DNS is true.
func (r real) names(n Network, b Container) {
	out, err := RunOnce(r.Context(), r.e, RunSpec{Name: r.name + "-run", Network: n.Name, Image: realImage,
		Labels: map[string]string{"mfha": "1"}, Args: []string{"lookup", b.Name}})
	if err != nil || !strings.Contains(out, b.Networks[n.Name].String()) {
		r.Errorf("%s is %q, %v; it has %s", b.Name, out, err, b.Networks[n.Name])
	}
}

func (r real) run(n Network, labels map[string]string) {
	ctx, s := r.Context(), RunSpec{Name: r.name + "-run", Network: n.Name, Image: realImage, Labels: labels, Args: []string{"echo", "hello"}}
	if out, err := RunOnce(ctx, r.e, s); err != nil || out != "hello" {
		r.Errorf("%q, %v", out, err)
	}
	s.Args = []string{"fail", "what went wrong"}
	if out, err := RunOnce(ctx, r.e, s); err == nil || !strings.Contains(err.Error(), "what went wrong") {
		r.Errorf("%q, %v", out, err)
	}
	missing := s
	missing.Image = "localhost/mfha-nosuch:1"
	if _, err := RunOnce(ctx, r.e, missing); err == nil {
		r.Error("an image that is not there")
	} else {
		r.Log(err)
	}
	// One that a killed process left is replaced; one of someone else stays.
	s.Args = []string{"echo", "again"}
	for _, l := range []string{topology.LabelTopology + "=" + labels[topology.LabelTopology], "x=y"} {
		if _, err := r.e.Run(ctx, "create", "--name", s.Name, "--label", l, "--label", topology.LabelOwner+"=mfha", realImage, "stay"); err != nil {
			r.Fatal(err)
		}
		if out, err := RunOnce(ctx, r.e, s); l != "x=y" && (err != nil || out != "again") || l == "x=y" && err == nil {
			r.Errorf("%s: %q, %v", l, out, err)
		}
	}
	if err := RemoveContainers(ctx, r.e, s.Name); err != nil {
		r.Error(err)
	}
	s.Args = []string{"stay"}
	cancelled, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := RunOnce(cancelled, r.e, s)
		done <- err
	}()
	r.find("run", Container.Running)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		r.Errorf("cancelled: %v", err)
	}
	if left, err := Containers(ctx, r.e, "name=^"+s.Name+"$"); err != nil || len(left) > 0 {
		r.Errorf("left: %v, %v", left, err)
	}
}

// inUse gives container a a second address, as a load balancer has it.
func (r real) inUse(n Network, a, b Container) {
	ctx := r.Context()
	top := n.Subnet.Addr().As4()
	at := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{top[0], top[1], top[2], last}) }
	pid, err := r.e.Run(ctx, "container", "inspect", "--format", "{{.State.Pid}}", a.Name)
	if err != nil {
		r.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, "nsenter", "--target", pid, "--net", "ip", "address", "add", at(200).String()+"/24", "dev", "eth0").CombinedOutput(); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	for _, test := range []struct {
		r    topology.AddressRange
		want []netip.Addr
	}{
		{topology.AddressRange{First: at(192), Last: at(207)}, []netip.Addr{at(200)}},
		{topology.AddressRange{First: at(208), Last: at(223)}, nil},
		{topology.AddressRange{First: at(1), Last: at(254)}, []netip.Addr{n.Gateway, a.Networks[n.Name], b.Networks[n.Name], at(200)}},
	} {
		began := time.Now()
		got, err := InUse(ctx, r.e, n, test.r)
		slices.SortFunc(test.want, netip.Addr.Compare)
		if err != nil || !slices.Equal(got, test.want) {
			r.Errorf("%s: %v instead of %v, %v", test.r, got, test.want, err)
		}
		r.Logf("%s: %s", test.r, time.Since(began).Round(time.Millisecond))
	}
	link, err := localLink(n)
	if err != nil || link == nil {
		r.Fatalf("%v, %v", link, err)
	}
	if got, err := neighbours(ctx, link, []netip.Addr{at(199), at(200)}); err != nil || !slices.Equal(got, []netip.Addr{at(200)}) {
		r.Errorf("neighbours: %v, %v", got, err)
	}
	free, err := FreeRange(ctx, r.e, n, 16, []topology.AddressRange{{First: at(250), Last: at(250)}, {First: at(216), Last: at(225)}})
	if want := (topology.AddressRange{First: at(234), Last: at(249)}); err != nil || free != want {
		r.Errorf("free: %s instead of %s, %v", free, want, err)
	}
}

// tinyImage is an archive of an image with one program.
func tinyImage(t *testing.T) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tiny")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, "./testdata/tiny")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var layer, archive bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "tiny", Mode: 0o755, Size: int64(len(data))})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Entrypoint, c.Config.Labels = "linux", runtime.GOARCH, []string{"/tiny"}, map[string]string{"a": "b"}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(realImage)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(tag, img, &archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}
