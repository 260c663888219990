// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/test/registryhost"
	"github.com/meshfed/meshfed/topology"
)

// nobody is a keychain without logins: tests must not read those of the host.
func nobody() authn.Keychain { return authn.NewMultiKeychain() }

func startRegistry(t *testing.T, o registryhost.Options) *registryhost.Host {
	t.Helper()
	h, err := registryhost.Start(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// fullBundle is a bundle as a build makes it, of a few bytes, with everything that a topology
// asks for.
func fullBundle(t *testing.T) *Bundle {
	t.Helper()
	dir := t.TempDir()
	m := Manifest{
		Key: "abc", Kubernetes: "v1.36.3", Istio: "1.31.0", NodeImage: NodeRepository + ":v1.36.3-0123456789ab",
		Charts:        []Chart{{Name: "metallb", Version: "0.15.2", File: "charts/metallb-0.15.2.tgz"}},
		Substitutions: []string{substituteEnvoy, substituteCNI}, Settings: Settings{UpstreamEnvoy: true, BridgeCNI: true, ImagesInNode: true},
	}
	shared, _ := testLayer(t, map[string]string{"usr/lib/shared": "of several images"})
	for _, name := range []string{
		m.NodeImage, "docker.io/istio/pilot:1.31.0", "docker.io/istio/proxyv2:1.31.0", "quay.io/metallb/controller:v0.15.2",
		"quay.io/metallb/speaker:v0.15.2", ProbeRepository + ":ebb6d0dfb8ba", "registry.k8s.io/etcd:3",
	} {
		own, _ := testLayer(t, map[string]string{"usr/bin/x": name})
		config, layers, folder := v1.Config{}, []v1.Layer{own}, imagesDir
		switch {
		case name == m.NodeImage:
			config, folder = nodeConfig("0123456789abcdef"), nodeDir
		case strings.Contains(name, "proxyv2"), strings.Contains(name, "pilot"):
			layers = []v1.Layer{shared, own}
		}
		img, err := newImage(config, layers...)
		if err == nil {
			err = addImage(filepath.Join(dir, folder), name, img)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{nodeDir, imagesDir} {
		list, err := describeImages(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		m.Images = append(m.Images, list...)
	}
	if err := writeFiles(dir, map[string][]byte{"charts/metallb-0.15.2.tgz": helmChart(t)}); err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(dir, m); err != nil {
		t.Fatal(err)
	}
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// helmChart is a chart that Helm takes.
func helmChart(t *testing.T) []byte {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	if err := writeFiles(from, map[string][]byte{
		"Chart.yaml": []byte("apiVersion: v2\nname: metallb\nversion: 0.15.2\ndependencies:\n- name: frr-k8s\n  version: 1\n"), "values.yaml": nil,
	}); err != nil {
		t.Fatal(err)
	}
	if err := packChart(from, to); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(to, chartFile))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func onMirror(h *registryhost.Host) *topology.Topology {
	t := &topology.Topology{}
	t.Spec.Images.Mirror = h.Addr + "/cache"
	t.Spec.Istio.Version = "1.31.0"
	t.Spec.Clusters = []topology.Cluster{
		{Name: "west", Provider: topology.Provider{Kind: &topology.KindProvider{Kubernetes: "1.36.3"}}, LoadBalancer: topology.LoadBalancer{Type: "MetalLB"}},
		{Name: "east", Provider: topology.Provider{Kind: &topology.KindProvider{Kubernetes: "1.36.3"}}, LoadBalancer: topology.LoadBalancer{Type: "MetalLB"}},
	}
	return t
}

func pullOptions(t *testing.T, h *registryhost.Host) PullOptions {
	t.Helper()
	return PullOptions{
		Dir: filepath.Join(t.TempDir(), "bundle"), Topology: onMirror(h), Platform: "linux/amd64", Keychain: nobody(), ChartDir: t.TempDir(),
	}
}

func pushTo(t *testing.T, b *Bundle, h *registryhost.Host) {
	t.Helper()
	if err := b.Push(t.Context(), PushOptions{Mirror: h.Addr + "/cache", Keychain: nobody()}); err != nil {
		t.Fatal(err)
	}
}

func TestPushedBundleComesBack(t *testing.T) {
	t.Parallel()
	h, built := startRegistry(t, registryhost.Options{}), fullBundle(t)
	pushTo(t, built, h)
	received, _, uploads := h.Moved()
	there := 0
	err := built.Push(t.Context(), PushOptions{Mirror: "http://" + h.Addr + "/cache/", Keychain: nobody(), Observe: func(p Progress) {
		if p.Cached {
			there++
		}
	}})
	if err != nil || there != len(built.Images) {
		t.Errorf("the second push found %d images of %d, %v", there, len(built.Images), err)
	}
	if again, _, n := h.Moved(); n != uploads || again-received > 4096 {
		t.Errorf("the second push began %d uploads and sent %d bytes", n-uploads, again-received)
	}
	o := pullOptions(t, h)
	b, err := Pull(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settings != (Settings{UpstreamEnvoy: true, BridgeCNI: true}) {
		t.Errorf("settings: %+v", b.Settings)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(built.Substitutions)), slices.Sorted(slices.Values(b.Substitutions))); diff != "" {
		t.Errorf("substitutions (-built +pulled):\n%s", diff)
	}
	if b.NodeImage != built.NodeImage || b.Kubernetes != "v1.36.3" || b.Istio != "1.31.0" {
		t.Errorf("node image %s, Kubernetes %s, Istio %s", b.NodeImage, b.Kubernetes, b.Istio)
	}
	if b.ProbeImage() != untagged(images.Probe()) {
		t.Errorf("the probe is %q", b.ProbeImage())
	}
	if _, err := b.Chart("metallb"); err != nil {
		t.Error(err)
	}
	// The node image says which inputs it was made from, as before.
	e := &fakeEngine{images: map[string]string{}}
	if err := b.LoadNodeImage(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if e.images[built.NodeImage] != "0123456789abcdef" {
		t.Errorf("the engine has %v", e.images)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Dir), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Nothing has changed: manifests and configurations are asked for, and no layers.
	_, sent, _ := h.Moved()
	var events []Progress
	o.Observe = func(p Progress) { events = append(events, p) }
	before, err := os.Stat(filepath.Join(o.Dir, manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(o.Dir, manifestFile)); err != nil || !os.SameFile(before, after) {
		t.Errorf("the second pull has replaced the bundle (%v)", err)
	}
	layers := int64(0)
	for _, i := range b.Images {
		layers += i.Size
	}
	if _, again, _ := h.Moved(); again-sent > layers+6*2048 {
		t.Errorf("the second pull fetched %d bytes", again-sent)
	}
	if len(events) != 6 || !events[5].Cached || events[5].Done != 6 || events[5].Total != 6 {
		t.Errorf("progress: %+v", events)
	}
}

func TestArchiveUnderTheNamesOfAMirror(t *testing.T) {
	t.Parallel()
	b := fullBundle(t)
	var out bytes.Buffer
	names := []string{"mirror.example:5000/istio/pilot:1.31.0", "docker.io/istio/proxyv2:1.31.0"}
	if err := b.Archive(t.Context(), &out, names...); err != nil {
		t.Fatal(err)
	}
	var index []struct {
		RepoTags, Layers []string
	}
	seen := map[string]int{}
	for r := tar.NewReader(&out); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[header.Name]++
		if header.Name == "manifest.json" {
			if err := json.NewDecoder(r).Decode(&index); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(index) != 2 || index[0].RepoTags[0] != names[0] || index[1].RepoTags[0] != names[1] || index[0].Layers[0] != index[1].Layers[0] {
		t.Errorf("index: %+v", index)
	}
	for _, entry := range index {
		for _, layer := range entry.Layers {
			if seen[layer] != 1 {
				t.Errorf("layer %s is there %d times", layer, seen[layer])
			}
		}
	}
	err := b.Archive(t.Context(), io.Discard, "docker.io/istio/pilot:9")
	if err == nil || len(diag.Hints(err)) == 0 {
		t.Errorf("an image that is not there: %v", err)
	}
	if !b.Has("mirror.example/istio/pilot:1.31.0") || !b.Has("mirror.example/a/path/istio/pilot:1.31.0") || b.Has("mirror.example/istio/pilot:1.30.0") {
		t.Error("Has is wrong")
	}
}

func TestInterruptedPullGoesOn(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	pushTo(t, fullBundle(t), h)
	o := pullOptions(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	o.Observe = func(p Progress) {
		if p.Finished && p.Done == 3 {
			cancel()
		}
	}
	if _, err := Pull(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := Open(o.Dir); err == nil {
		t.Error("a bundle that is not complete opens")
	}
	cached := 0
	o.Observe = func(p Progress) {
		if p.Cached {
			cached++
		}
	}
	if _, err := Pull(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if cached < 3 {
		t.Errorf("%d images were not fetched again, want 3 at least", cached)
	}
}

func TestPullNamesTheFault(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, part string
		kind       registryhost.Fault
		want       string
	}{
		{"lies about content", "/cache/metallb/speaker/blobs/", registryhost.Lie, "its content is not what its digest says"},
		{"has no such image", "", "", "it has no such image (404)"},
		{"denies", "/cache/istio/pilot/", registryhost.Deny, "(403)"},
		{"breaks", "/blobs/", registryhost.Refuse, "it breaks connections"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startRegistry(t, registryhost.Options{})
			o := pullOptions(t, h)
			if c.kind != "" {
				pushTo(t, fullBundle(t), h)
				h.Fault(c.part, c.kind)
			}
			_, err := Pull(t.Context(), o)
			if err == nil || !strings.HasPrefix(err.Error(), "pulling an image bundle: asking registry "+h.Addr) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v", err)
			}
			if len(diag.Hints(err)) == 0 {
				t.Error("there is no hint")
			}
			if _, err := os.Stat(o.Dir); err == nil {
				t.Error("a bundle is there")
			}
		})
	}
}

func TestPullReplacesABundleAtTheEnd(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	pushTo(t, fullBundle(t), h)
	o := pullOptions(t, h)
	if _, err := Pull(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	h.Fault("/cache/istio/pilot/", registryhost.Deny)
	if _, err := Pull(t.Context(), o); err == nil {
		t.Error("a pull that fails succeeds")
	}
	b, err := Open(o.Dir)
	if err != nil {
		t.Fatalf("a pull that failed has damaged the bundle: %v", err)
	}
	// Of a bundle that lost an image, everything else is used again.
	h.Mend()
	b.Key = "other"
	if err := writeManifest(b.Dir, b.Manifest); err != nil {
		t.Fatal(err)
	}
	cached := 0
	o.Observe = func(p Progress) {
		if p.Cached {
			cached++
		}
	}
	if _, err := Pull(t.Context(), o); err != nil || cached != 6 {
		t.Errorf("%d images came from the old bundle, %v", cached, err)
	}
}

func TestPullNodeOnly(t *testing.T) {
	t.Parallel()
	h, built := startRegistry(t, registryhost.Options{}), fullBundle(t)
	pushTo(t, built, h)
	o := pullOptions(t, h)
	o.NodeOnly = true
	b, err := Pull(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Images) != 1 || b.NodeImage != built.NodeImage || len(b.Charts) != 0 {
		t.Errorf("got %+v", b.Manifest)
	}
	for kubernetes, want := range map[string]bool{"": true, "1.36.3": true, "v1.36.3": true, "1.36.4": false, built.NodeImage: true} {
		if got, ok := b.For(kubernetes); ok != want || ok && got.NodeImage != built.NodeImage {
			t.Errorf("for %q: %v", kubernetes, ok)
		}
	}
}

func TestPullWithoutTheProbe(t *testing.T) {
	t.Parallel()
	h, built := startRegistry(t, registryhost.Options{}), fullBundle(t)
	built.Images = slices.DeleteFunc(built.Images, func(i Image) bool { return i.Name == built.ProbeImage() })
	pushTo(t, built, h)
	o := pullOptions(t, h)
	if _, err := Pull(t.Context(), o); err == nil || !strings.Contains(err.Error(), "meshfed/probe") {
		t.Errorf("a probe that nobody has: %v", err)
	}
	o.WithoutProbe = true
	finished := map[string]bool{}
	o.Observe = func(p Progress) { finished[p.Item] = finished[p.Item] || p.Finished }
	b, err := Pull(t.Context(), o)
	if err != nil || b.ProbeImage() != "" || len(b.Images) != 5 {
		t.Fatalf("got %+v, %v", b, err)
	}
	for _, i := range PullItems(o.Topology) {
		if !finished[i.Name] {
			t.Errorf("%s is never done", i.Name)
		}
	}
}

// The published node image has no label that says from which inputs it was made.
func TestPublishedNodeImageIsKnownByItsLayers(t *testing.T) {
	t.Parallel()
	b := fullBundle(t)
	name := "docker.io/kindest/node:v1.36.4"
	own, _ := testLayer(t, map[string]string{"usr/bin/x": "published"})
	img, err := newImage(v1.Config{}, own)
	if err == nil {
		err = addImage(filepath.Join(b.Dir, nodeDir), name, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.NodeImage = name
	diff, err := own.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	for layers, want := range map[string]bool{
		`["` + diff.String() + `"]`: true, `["sha256:` + strings.Repeat("0", 64) + `"]`: false, `[]`: false,
	} {
		if got, err := b.HasNodeImage(t.Context(), layerEngine{layers}); err != nil || got != want {
			t.Errorf("%s: %v, %v", layers, got, err)
		}
	}
	if got, err := b.HasNodeImage(t.Context(), layerEngine{}); err != nil || got {
		t.Errorf("an engine without it: %v, %v", got, err)
	}
}

type layerEngine struct{ layers string }

func (layerEngine) Name() string { return "fake" }

func (e layerEngine) Run(context.Context, ...string) (string, error) {
	if e.layers == "" {
		return "", errors.New("no such image")
	}
	return e.layers, nil
}

func (layerEngine) Pipe(context.Context, io.Reader, io.Writer, ...string) error { return nil }

func TestOlderBundlesHaveImagesInTheNode(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]bool{
		`{"upstreamEnvoy": true, "bridgeCNI": true}`:                         true,
		`{"upstreamEnvoy": true, "bridgeCNI": true, "imagesInNode": false}`:  false,
		`{"upstreamEnvoy": false, "bridgeCNI": false, "imagesInNode": true}`: true,
		`{"upstreamEnvoy": false, "bridgeCNI": false}`:                       false,
	} {
		dir, m := testBundle(t)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		all["settings"] = json.RawMessage(settings)
		if data, err = json.Marshal(all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, manifestFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		b, err := Open(dir)
		if err != nil || b.Settings.ImagesInNode != want {
			t.Errorf("%s: %+v, %v", settings, b, err)
		}
	}
}

func TestVersionsAreThoseOfThePublishedNames(t *testing.T) {
	t.Parallel()
	if got := (&Bundle{}).PushedName("m.example", NodeRepository+":"+KubernetesVersion+"-0123456789ab"); got != "m.example/"+registry.BuiltNode {
		t.Errorf("the node image is pushed as %s, hints say %s", got, registry.BuiltNode)
	}
	if "v"+MetalLBVersion != images.MetalLB {
		t.Errorf("the bundle has MetalLB %s, published names say %s", MetalLBVersion, images.MetalLB)
	}
}
