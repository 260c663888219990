// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	registries "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/test/registryhost"
)

// mirrored is a mesh whose images come from a registry of this test, which has all of them but
// those whose names contain without.
func mirrored(t *testing.T, without ...string) (*Mesh, *registryhost.Host) {
	t.Helper()
	h, err := registryhost.Start(t.Context(), t.TempDir(), registryhost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	m := newMesh(t, example)
	m.Pull, m.Facts.Arch, m.Topology.Spec.Images.Mirror = true, "amd64", h.Addr+"/cache"
	for _, image := range images.All(m.Topology) {
		if slices.ContainsFunc(without, func(part string) bool { return strings.Contains(image, part) }) {
			continue
		}
		labels := map[string]string{}
		if strings.Contains(image, "proxyv2") {
			labels[registry.LabelUpstreamEnvoy], labels[registry.LabelSubstitution] = "true", "upstream Envoy"
		}
		give(t, image, tiny(t, "amd64", labels))
	}
	return m, h
}

func give(t *testing.T, image string, content v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(image, name.Insecure)
	if err == nil {
		err = registries.Write(ref, content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRegistryHasEverything(t *testing.T) {
	t.Parallel()
	m, h := mirrored(t)
	if err := m.AskRegistries(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.BuildProbe || !m.settings().UpstreamEnvoy || m.settings().BridgeCNI || !slices.Equal(m.Substitutions(), []string{"upstream Envoy"}) {
		t.Errorf("%+v, probe built: %v", m.Registry, m.BuildProbe)
	}
	if len(m.Registry.Digests) != 5 {
		t.Errorf("asked for %v", m.Registry.Digests)
	}
	h.Stop() // it is asked once
	if err := m.AskRegistries(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRegistryWithoutProbe: nobody has published it, and there is Go here.
func TestRegistryWithoutProbe(t *testing.T) {
	for name, test := range map[string]struct {
		program, own string
		builds       bool
		says         string
	}{
		"with Go":                    {program: "go", builds: true},
		"without Go":                 {says: "looking for the probe's image in its registry"},
		"without Go, the file's own": {own: "x.example/probe:1"},
	} {
		t.Run(name, func(t *testing.T) {
			onePath(t, test.program, compiler)
			m, _ := mirrored(t, "meshfed/probe")
			m.Topology.Spec.Verify.Probe.Image = test.own
			err := m.AskRegistries(t.Context())
			if test.says == "" && err != nil || m.BuildProbe != test.builds || (m.Registry != nil) != (test.says == "") {
				t.Errorf("%v, the probe is built: %v", err, m.BuildProbe)
			}
			if test.says != "" {
				hinted(t, err, test.says, "")
				hinted(t, err, "meshfed/probe", "")
			}
		})
	}
}

// TestInterruptedIsNoMissingProbe: who stops the question did not hear "no".
func TestInterruptedIsNoMissingProbe(t *testing.T) {
	onePath(t, "go", compiler)
	m, h := mirrored(t)
	h.Fault("/meshfed/probe/", registryhost.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := m.AskRegistries(ctx); !errors.Is(err, context.DeadlineExceeded) || m.BuildProbe {
		t.Errorf("%v, the probe is built: %v", err, m.BuildProbe)
	}
}

func TestRegistryNamesTheFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault      func(*Mesh, *registryhost.Host)
		without    string
		says, hint string
	}{
		"hangs": {fault: func(m *Mesh, h *registryhost.Host) {
			m.answer = 200 * time.Millisecond
			h.Fault("/istio/pilot/", registryhost.Hang)
		}, says: "no answer within", hint: "spec.images.mirror"},
		"refuses": {fault: func(_ *Mesh, h *registryhost.Host) { h.Stop() }, says: "refuses connections"},
		"denies":  {fault: func(_ *Mesh, h *registryhost.Host) { h.Fault("/istio/pilot/", registryhost.Deny) }, says: "wants a login", hint: "login"},
		"lacks":   {without: "istio/pilot", says: "no such image (404)", hint: "spec.istio.version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, h := mirrored(t, append([]string{"none"}, strings.Fields(test.without)...)...)
			if test.fault != nil {
				test.fault(m, h)
			}
			err := m.AskRegistries(t.Context())
			hinted(t, err, "looking for the images in their registry", "")
			hinted(t, err, h.Addr, "")
			hinted(t, err, "cache/istio/pilot", "")
			hinted(t, err, test.says, test.hint)
			if m.Registry != nil || m.BuildProbe {
				t.Error("it goes on all the same")
			}
		})
	}
}

// TestRegistryIsAskedForTheEnginesProcessor and for the selected clusters only.
func TestRegistryIsAskedForTheEnginesProcessor(t *testing.T) {
	t.Parallel()
	m, _ := mirrored(t, "istio/pilot")
	ref, err := name.ParseReference(m.images("west").Pilot, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: tiny(t, "riscv64", nil),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "riscv64"}}})
	if err := registries.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	hinted(t, m.AskRegistries(t.Context()), "not for linux/amd64", "linux/amd64")
	m.Facts.Arch = "" // the engine does not say: this processor
	hinted(t, m.AskRegistries(t.Context()), "not for linux/", "")
	m.Facts.Arch = "riscv64"
	m.Topology.Cluster("east").Provider.Kind.Kubernetes = "1.20.0"
	hinted(t, m.AskRegistries(t.Context()), "kindest/node:v1.20.0", "")
	m.Clusters = []string{"west"}
	if err := m.AskRegistries(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNodeImagesAreFetchedOnce past the engine, and loaded under the name that kind is told.
func TestNodeImagesAreFetchedOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	m, h := mirrored(t)
	engine := func() *clustertest.Engine {
		return &clustertest.Engine{Answers: []clustertest.Answer{{To: "image inspect", Fails: "Error: no such image"}, {To: "image ls"}}}
	}
	for _, try := range []string{"first", "kept"} {
		e := engine()
		m.Engine, m.nodes = e, nil
		step := nodeImage{m}
		change, err := step.Look(t.Context())
		if err != nil || change.Action != graph.Create || change.Reason != "from "+h.Addr {
			t.Fatalf("%s: %+v, %v", try, change, err)
		}
		_, before, _ := h.Moved()
		if err := step.Do(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		loaded := e.Stdin()
		if len(loaded) != 1 {
			t.Fatalf("%s: %d archives were loaded", try, len(loaded))
		}
		names, err := namesIn(strings.NewReader(loaded[0]))
		if err != nil || !slices.Equal(names, []string{m.nodeImageOf("west")}) || !strings.HasPrefix(names[0], "docker.io/kindest/node:v") {
			t.Errorf("%s: loaded %v, %v; clusters are made from %q", try, names, err, m.nodeImageOf("west"))
		}
		if _, after, _ := h.Moved(); try == "kept" && after-before > 2048 {
			t.Errorf("it was fetched again: %d bytes", after-before)
		}
		if change, err := step.Look(t.Context()); err != nil || change.Needed() {
			t.Errorf("%s: afterwards %+v, %v", try, change, err)
		}
	}
	m.nodes = nil
	m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{{To: "image inspect", Fails: "Error: no such image"}, {To: "load", Fails: "no space left"}}}
	hinted(t, nodeImage{m}.Do(t.Context(), graph.Change{}), "no space left", "")
	if m.nodeImageOf("west") != "" {
		t.Error("clusters would be made from an image that was not loaded")
	}
	h.Stop()
	m.Engine = engine()
	hinted(t, nodeImage{m}.Do(t.Context(), graph.Change{}), "refuses connections", "")
}

// TestNodesFindTheRegistry: PORT is one that something listens on.
func TestNodesFindTheRegistry(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	gateway := clustertest.Answer{Out: `[{"name": "meshfed-usmesh", "subnets": [{"subnet": "127.0.0.0/24", "gateway": "127.0.0.1"}]}]`}
	none := clustertest.Answer{Fails: "Error: no such network"}
	for name, test := range map[string]struct {
		mirror     string
		remote     bool
		engine     clustertest.Answer
		want       string
		says, hint string
	}{
		"none":                 {},
		"with TLS":             {mirror: "mirror.example:5000/mesh"},
		"plain":                {mirror: "http://mirror.example:5000/mesh", want: "mirror.example:5000 http://mirror.example:5000"},
		"plain, no port":       {mirror: "http://mirror.example/mesh", want: "mirror.example http://mirror.example"},
		"loopback":             {mirror: "127.0.0.9:PORT/mesh", engine: gateway, want: "127.0.0.9:PORT http://127.0.0.1:PORT"},
		"loopback, plain":      {mirror: "http://127.0.0.9:PORT", engine: gateway, want: "127.0.0.9:PORT http://127.0.0.1:PORT"},
		"loopback by name":     {mirror: "localhost:PORT", engine: gateway, want: "localhost:PORT http://127.0.0.1:PORT"},
		"loopback by any name": {mirror: "reg.localhost:PORT", engine: gateway, want: "reg.localhost:PORT http://127.0.0.1:PORT"},
		"of another kernel":    {mirror: "localhost:5000", remote: true, engine: none, want: "localhost:5000 http://host.docker.internal:5000"},
		"plain, elsewhere":     {mirror: "http://mirror.example:5000", remote: true, want: "mirror.example:5000 http://mirror.example:5000"},
		"on loopback alone":    {mirror: "127.0.0.9:1", engine: gateway, says: "127.0.0.1:1, and nothing answers there", hint: "listen on all addresses"},
		"no network":           {mirror: "127.0.0.1:5000", engine: none, says: "nodes reach the mirror 127.0.0.1:5000 at the gateway of their network, which does not exist yet", hint: "podman network create meshfed-usmesh"},
		"no engine":            {mirror: "127.0.0.1:5000", engine: clustertest.Answer{Fails: "Error: cannot connect"}, says: "finding out how nodes reach 127.0.0.1:5000"},
		"no gateway": {mirror: "127.0.0.1:5000", engine: clustertest.Answer{Out: `[{"name": "meshfed-usmesh"}]`},
			says: "nodes can not reach 127.0.0.1:5000", hint: "an address that containers reach"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			test.engine.To = "network inspect"
			m.Engine, m.Facts.Remote = &clustertest.Engine{Answers: []clustertest.Answer{test.engine}}, test.remote
			m.Topology.Spec.Images.Mirror = strings.ReplaceAll(test.mirror, "PORT", port)
			found, err := m.registries(t.Context())
			if err == nil {
				err = m.reachable(t.Context(), found)
			}
			if test.says != "" {
				hinted(t, err, test.says, test.hint)
				return
			}
			got := ""
			for _, r := range found {
				got += r.Host + " " + r.Server
			}
			if err != nil || got != strings.ReplaceAll(test.want, "PORT", port) {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}
