// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/test/registryhost"
	"github.com/meshfed/meshfed/topology"
)

// mirrorOf serves every image of the example; options name it in the topology.
func mirrorOf(t *testing.T) (h *registryhost.Host, options []string) {
	t.Helper()
	h, err := registryhost.Start(t.Context(), t.TempDir(), registryhost.Options{})
	must(t, err)
	t.Cleanup(h.Stop)
	set := "spec.images.mirror=" + h.Addr + "/cache"
	tp, err := topology.Load(example, set)
	must(t, err)
	for _, image := range images.All(tp) {
		ref, err := name.ParseReference(image, name.Insecure)
		must(t, err)
		content, err := random.Image(64, 1)
		must(t, err)
		index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: content,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: imagesAre}}})
		must(t, remote.WriteIndex(ref, index))
	}
	return h, []string{"-f", example, "--set", set}
}

// imagesAre is the processor that the images of mirrorOf are for.
const imagesAre = runtime.GOARCH

// TestPullCheck says whether everything could be pulled, and fetches nothing.
func TestPullCheck(t *testing.T) {
	h := newHost(t)
	registry, options := mirrorOf(t)
	check := func(more ...string) result {
		return call(t, append(append([]string{"bundle", "pull", "--check"}, options...), more...)...)
	}
	if r := check(); r.code != 0 || !strings.Contains(r.stdout, registry.Addr) || r.err != "" {
		t.Errorf("%+v", r)
	}
	registry.Fault("/istio/proxyv2/", registryhost.Deny)
	check().refused(t, failed, "images: ", registry.Addr, "cache/istio/proxyv2")
	registry.Mend()
	// What is not published can be built, where there is Go; here there is none.
	registry.Fault("/meshfed/probe/", registryhost.Deny)
	check().refused(t, failed, "images: ", "meshfed/probe")
	registry.Stop()
	r := check()
	r.refused(t, failed, "images: ", registry.Addr, "it refuses connections")
	if strings.Contains(r.err, "error:") || strings.Count(strings.TrimSpace(r.err), "\n") > 0 {
		t.Errorf("a check has one line to say:\n%s", r.err)
	}
	check("--quiet").hinted(t, failed, "it refuses connections")
	call(t, append([]string{"bundle", "pull"}, options...)...).hinted(t, failed, "it refuses connections", "meshfed bundle build")
	if left, _ := filepath.Glob(filepath.Join(h.dir, "cache", "meshfed", "*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	h.madeNothing()
}

// TestPullCheckAsJSON: scripts get one object, whatever the answer is, and the exit code of it.
func TestPullCheckAsJSON(t *testing.T) {
	h := newHost(t)
	registry, options := mirrorOf(t)
	check := func(code int, more ...string) (object struct {
		APIVersion, Kind, Tool, Topology, Message string
		Substitutions, Registries                 []string
		CanPull                                   *bool
	}) {
		t.Helper()
		r := call(t, append(append([]string{"bundle", "pull", "--check", "-o", "json"}, options...), more...)...)
		decoder := json.NewDecoder(strings.NewReader(r.stdout))
		if err := decoder.Decode(&object); err != nil || decoder.More() || r.code != code || r.err != "" {
			t.Fatalf("%v, exit code %d, want %d, stdout:\n%sstderr:\n%s", err, r.code, code, r.stdout, r.err)
		}
		if object.APIVersion != "meshfed.io/v1alpha1" || object.Kind != "Images" || object.Topology != "usmesh" || object.Tool == "" || object.Substitutions == nil ||
			!slices.Equal(object.Registries, []string{registry.Addr}) || object.CanPull == nil || *object.CanPull != (code == 0) {
			t.Errorf("%+v", object)
		}
		return object
	}
	if object := check(0); object.Message != registry.Addr+" can be pulled from" {
		t.Errorf("%+v", object)
	}
	registry.Fault("/istio/proxyv2/", registryhost.Deny)
	if object := check(failed); !strings.Contains(object.Message, "cache/istio/proxyv2") {
		t.Errorf("%+v", object)
	}
	registry.Stop()
	if object := check(failed, "--quiet"); !strings.Contains(object.Message, "it refuses connections") {
		t.Errorf("%+v", object)
	}
	h.madeNothing()
}

// TestPullPlatform: images are for the engine's processor, or the one that is asked for; a host
// without an engine can fetch them too, for this machine's.
func TestPullPlatform(t *testing.T) {
	h := newHost(t)
	registry, options := mirrorOf(t)
	check := func(more ...string) result {
		t.Helper()
		return call(t, append(append([]string{"bundle", "pull", "--check"}, options...), more...)...)
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	h.answer("info", strings.Replace(podmanInfo, `{"store"`, `{"host": {"arch": "`+other+`"}, "store"`, 1))
	for _, test := range []struct {
		asks []string
		arch string
	}{{nil, other}, {[]string{"--platform", "linux/amd64"}, "amd64"}, {[]string{"--platform=linux/arm64"}, "arm64"}} {
		r := check(test.asks...)
		if fits := test.arch == imagesAre; (r.code == 0) != fits || !fits && !strings.Contains(r.err, "linux/"+test.arch) || !strings.Contains(r.stdout+r.err, registry.Addr) {
			t.Errorf("%q for %s: %+v", test.asks, test.arch, r)
		}
	}
	for _, odd := range []string{"arm64", "linux", "linux/s390x", "", "windows/amd64", "linux/arm64/v8"} {
		check("--platform", odd).hinted(t, wrong, fmt.Sprintf("there is no platform %q for --platform", odd), "write linux/amd64 or linux/arm64")
	}
	t.Setenv("PATH", tools(t))
	if r := check(); (r.code == 0) != (runtime.GOARCH == imagesAre) || !strings.Contains(r.err, "images: for linux/"+runtime.GOARCH+", as this machine") {
		t.Errorf("without an engine: %+v", r)
	}
	if r := check("--quiet", "--platform", "linux/"+imagesAre); r.code != 0 || r.err != "" {
		t.Errorf("without an engine, and none is needed: %+v", r)
	}
	h.madeNothing()
}

func TestPushCommandLine(t *testing.T) {
	h := newHost(t)
	for _, args := range [][]string{{}, {"a.example", "b.example"}} {
		call(t, append([]string{"bundle", "push"}, args...)...).hinted(t, wrong, "name the registry to push to, and nothing else", "meshfed bundle push registry.example.com/mesh")
		asJSON(t, wrong, append(append([]string{"bundle", "push"}, args...), "-o", "json")...)
	}
	call(t, "bundle", "push", "a.example").hinted(t, failed, "there is no image bundle in "+h.dir, "meshfed bundle build")
	call(t, "bundle", "push", "a.example", "--dir", h.dir).hinted(t, failed, "there is no image bundle in "+h.dir)
	h.bundle()
	registry, _ := mirrorOf(t)
	mirror := registry.Addr + "/ours"
	// A mirror that can not be one is a wrong command line, also where there is no bundle.
	for _, odd := range []string{"", "UPPER CASE", "a.example/mesh?x=y", "me:secret@a.example/mesh"} {
		for _, dir := range []string{h.dir, ""} {
			r := call(t, "bundle", "push", odd, "--dir", dir)
			r.hinted(t, wrong)
			if strings.Contains(r.err, "secret") {
				t.Errorf("a password is shown: %s", r.err)
			}
			asJSON(t, wrong, "bundle", "push", odd, "--dir", dir, "-o", "json")
		}
	}
	if r := call(t, "bundle", "push", mirror); r.code != 0 || !strings.Contains(r.stdout, "write spec.images.mirror: "+mirror+"\n") ||
		!strings.Contains(r.stdout, "Kubernetes there is not "+images.Kubernetes+": write provider.kind.kubernetes: 1.36.3 for each cluster\n") {
		t.Errorf("%+v", r)
	}
	manifest := filepath.Join(bundle.DefaultDir(), "bundle.json")
	data, err := os.ReadFile(manifest)
	must(t, err)
	must(t, os.WriteFile(manifest, bytes.Replace(data, []byte(`"kubernetes": "v1.36.3"`), []byte(`"kubernetes": "v`+images.Kubernetes+`"`), 1), 0o600))
	if r := call(t, "bundle", "push", mirror); r.code != 0 || strings.Contains(r.stdout, "kubernetes") {
		t.Errorf("the file need not name what is the default: %+v", r)
	}
	registry.Stop()
	call(t, "bundle", "push", mirror).hinted(t, failed, registry.Addr, "`meshfed bundle push "+mirror+"` goes on with what is missing")
	h.madeNothing()
}
