// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/images"
)

const nodeName = "docker.io/kindest/node:v1.36.3"

// tiny is an image of a few bytes.
func tiny(t *testing.T, arch string, labels map[string]string) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err == nil {
		img, err = mutate.ConfigFile(img, withConfig(t, img, arch, labels))
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func withConfig(t *testing.T, img v1.Image, arch string, labels map[string]string) *v1.ConfigFile {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", arch, labels
	return config
}

// bundled is a bundle for amd64 with a node image and others.
func bundled(t *testing.T, names ...string) *bundle.Bundle {
	t.Helper()
	b := &bundle.Bundle{Dir: t.TempDir(), Manifest: bundle.Manifest{NodeImage: nodeName, Kubernetes: "v1.36.3"}}
	for folder, list := range map[string][]string{"node": {nodeName}, "images": names} {
		l, err := layout.Write(filepath.Join(b.Dir, folder), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			if err := l.AppendImage(tiny(t, "amd64", nil), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
				t.Fatal(err)
			}
			b.Images = append(b.Images, bundle.Image{Name: name})
		}
	}
	return b
}

// published are the images of the example as their makers publish them.
func published(t *testing.T) images.Set {
	t.Helper()
	m := newMesh(t, example)
	return m.images("west")
}

const ownProbe = bundle.ProbeRepository + ":0123"

func TestCheckBundle(t *testing.T) {
	t.Parallel()
	pilot := published(t).Pilot
	for name, test := range map[string]struct {
		holds       []string
		change      func(*Mesh)
		says, hint  string
		never       string
		buildsProbe bool
	}{
		"right":                          {holds: []string{pilot, ownProbe}},
		"of another processor":           {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Facts.Arch = "arm64" }, says: "is for amd64, and podman runs arm64", hint: "meshfed bundle pull"},
		"the engine says no processor":   {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Facts.Arch = "" }},
		"the engine's processor is ours": {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Facts.Arch = "amd64" }},
		"without its node image": {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Bundle.NodeImage = "docker.io/kindest/node:v0" },
			says: "has no image docker.io/kindest/node:v0", never: "is for"},
		"another Kubernetes": {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Topology.Cluster("east").Provider.Kind.Kubernetes = "1.35.0" },
			says: "cluster east asks for Kubernetes 1.35.0, and the image bundle", hint: "remove provider.kind.kubernetes"},
		"another Kubernetes, not selected": {holds: []string{pilot, ownProbe}, change: func(m *Mesh) {
			m.Topology.Cluster("east").Provider.Kind.Kubernetes, m.Clusters = "1.35.0", []string{"west"}
		}},
		"the same Kubernetes": {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Topology.Cluster("east").Provider.Kind.Kubernetes = "1.36.3" }},
		"without pilot":       {holds: []string{ownProbe}, says: "does not hold " + pilot, hint: "meshfed bundle pull"},
		"another Istio": {holds: []string{"docker.io/istio/pilot:1.0.0", ownProbe},
			says: "does not hold " + pilot + ", which the topology names", hint: "spec.images.mirror"},
		"a mirror's names":                 {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Topology.Spec.Images.Mirror = "mirror.example/mesh" }},
		"a mirror without a path":          {holds: []string{pilot, ownProbe}, change: func(m *Mesh) { m.Topology.Spec.Images.Mirror = "mirror.example" }},
		"without a probe":                  {holds: []string{pilot}, buildsProbe: true},
		"without a probe, the file has it": {holds: []string{pilot}, change: func(m *Mesh) { m.Topology.Spec.Verify.Probe.Image = "x/probe:1" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Bundle = bundled(t, test.holds...)
			if test.change != nil {
				test.change(m)
			}
			err := m.CheckBundle()
			if test.says == "" && err != nil {
				t.Fatal(err)
			}
			if test.says != "" {
				hinted(t, err, test.says, test.hint)
			}
			if test.never != "" && strings.Contains(err.Error(), test.never) {
				t.Errorf("%v", err)
			}
			if m.BuildProbe != test.buildsProbe {
				t.Errorf("the probe is built: %v", m.BuildProbe)
			}
		})
	}
	if err := newMesh(t, example).CheckBundle(); err != nil {
		t.Errorf("no bundle: %v", err)
	}
}

func TestBundleWithoutProbeNorGo(t *testing.T) {
	onePath(t, "", "")
	m := newMesh(t, example)
	m.Bundle = bundled(t, published(t).Pilot)
	hinted(t, m.CheckBundle(), "has no probe, and there is no Go toolchain on this host", "spec.verify.probe.image")
	m.Topology.Spec.Verify.Probe.Image = "x/probe:1"
	if err := m.CheckBundle(); err != nil || m.BuildProbe {
		t.Errorf("the file names one: %v", err)
	}
}

// workloads is a bundle whose images nodes have to be given, and a mesh of it.
func workloads(t *testing.T, mirror string) (*Mesh, *hosted, images.Set) {
	t.Helper()
	names := append(published(t).Workloads(), ownProbe)
	names = slices.DeleteFunc(names, func(name string) bool { return name == images.Probe() })
	m, p := newMesh(t, example), &hosted{status: cluster.Status{State: cluster.Ready}}
	m.Provider, m.Bundle, m.Topology.Spec.Images.Mirror = p, bundled(t, names...), mirror
	set := m.images("west")
	set.Probe = ownProbe
	return m, p, set
}

// TestLoadImagesBringsWhatIsMissing and nothing else, under the names that pods ask for.
func TestLoadImagesBringsWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, mirror := range []string{"", "mirror.example:5000", "mirror.example/of/the/mesh"} {
		m, p, set := workloads(t, mirror)
		if mirror != "" && !strings.HasPrefix(set.Pilot, mirror) {
			t.Fatalf("the set is %v", set)
		}
		p.images = []string{"registry.k8s.io/pause:3", set.Pilot, set.MetalLBSpeaker}
		want := []string{set.Proxy, set.MetalLBController, ownProbe}
		step := loadImages{m, "west"}
		change, err := step.Look(t.Context())
		if err != nil || change.Action != graph.Create || change.Reason != strings.Join(want, ", ") {
			t.Errorf("%+v, %v", change, err)
		}
		for range 2 { // the second time all are there
			if err := step.Do(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([][]string{want}, p.loaded); diff != "" {
			t.Errorf("(-want +loaded):\n%s", diff)
		}
		if change, err := step.Look(t.Context()); err != nil || change.Needed() {
			t.Errorf("afterwards: %+v, %v", change, err)
		}
	}
}

func TestLoadImagesOnlyWhereNodesLackThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Mesh)
		want   bool
	}{
		"pulled":              {func(*Mesh) {}, true},
		"built":               {func(m *Mesh) { m.Bundle.Settings.ImagesInNode = true }, false},
		"built, for a mirror": {func(m *Mesh) { m.Bundle.Settings.ImagesInNode, m.Topology.Spec.Images.Mirror = true, "mirror.example" }, true},
		"no bundle":           {func(m *Mesh) { m.Bundle, m.Pull = nil, true }, false},
	} {
		m, _, _ := workloads(t, "")
		test.change(m)
		steps := Up(m)
		has := slices.ContainsFunc(steps, func(s graph.Step) bool { return s.ID == "images@west" })
		needed := slices.ContainsFunc(steps, func(s graph.Step) bool { return s.ID == "owner@west" && slices.Contains(s.Needs, "images@west") })
		if has != test.want || needed != test.want {
			t.Errorf("%s: step %v, needed %v", name, has, needed)
		}
	}
}

// TestLoadImagesWithTheFilesProbe: a bundle that holds it gives it, else nodes pull it.
func TestLoadImagesWithTheFilesProbe(t *testing.T) {
	t.Parallel()
	m, p, set := workloads(t, "")
	p.images = set.Workloads()
	m.Topology.Spec.Verify.Probe.Image = "x.example/probe:1"
	if change, err := (loadImages{m, "west"}).Look(t.Context()); err != nil || change.Needed() {
		t.Errorf("not in the bundle: %+v, %v", change, err)
	}
	m.Bundle = bundled(t, append(set.Workloads(), "x.example/probe:1")...)
	if err := (loadImages{m, "west"}).Do(t.Context(), graph.Change{}); err != nil || !cmp.Equal(p.loaded, [][]string{{"x.example/probe:1"}}) {
		t.Errorf("in the bundle: loaded %q, %v", p.loaded, err)
	}
}

// TestLoadingFails: what can not be found out is no "nothing is missing".
func TestLoadingFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("ctr: connection refused")
	for name, fail := range map[string]func(*Mesh, *hosted){
		"look":    func(_ *Mesh, p *hosted) { p.lookErr = broken },
		"list":    func(_ *Mesh, p *hosted) { p.imagesErr = broken },
		"load":    func(_ *Mesh, p *hosted) { p.loadErr = broken },
		"archive": func(m *Mesh, _ *hosted) { m.Bundle.Images = m.Bundle.Images[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, p, _ := workloads(t, "")
			fail(m, p)
			step := loadImages{m, "west"}
			change, err := step.Look(t.Context())
			if looked := name == "look" || name == "list"; looked == (err == nil) {
				t.Errorf("looking says %+v, %v", change, err)
			}
			if err == nil {
				err = step.Do(t.Context(), change)
			}
			want := broken.Error()
			if name == "archive" {
				want = "has no image docker.io/istio/"
			}
			hinted(t, err, want, "")
		})
	}
	for _, step := range []work{loadImages{newAbsent(t), "west"}, localProbe{newAbsent(t), "west"}} {
		if change, err := step.Look(t.Context()); err != nil || change.Action != graph.Create || !strings.Contains(change.Reason, "does not exist yet") {
			t.Errorf("%T: %+v, %v", step, change, err)
		}
	}
}

func newAbsent(t *testing.T) *Mesh {
	t.Helper()
	m, p, _ := workloads(t, "")
	p.status, p.imagesErr = cluster.Status{State: cluster.Absent}, errors.New("it asked a cluster that is not there")
	return m
}

// compiler is a Go toolchain that writes what it is told to write.
const compiler = `while [ $# -gt 1 ]; do [ "$1" = -o ] && echo program > "$2"; shift; done`

func TestLocalProbe(t *testing.T) {
	onePath(t, "go", compiler)
	m, p, _ := workloads(t, "")
	m.Facts.Arch = "arm64"
	step := localProbe{m, "west"}
	change, err := step.Look(t.Context())
	if err != nil || change.Action != graph.Create || !strings.Contains(change.Reason, images.Probe()) {
		t.Fatalf("%+v, %v", change, err)
	}
	if err := step.Do(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	want, _, _ := strings.Cut(images.Probe(), "@")
	if diff := cmp.Diff([][]string{{want}}, p.loaded); diff != "" {
		t.Errorf("(-want +loaded):\n%s", diff)
	}
	if change, err := step.Look(t.Context()); err != nil || change.Needed() {
		t.Errorf("afterwards: %+v, %v", change, err)
	}
	p.imagesErr = errors.New("ctr: connection refused")
	if _, err := step.Look(t.Context()); !errors.Is(err, p.imagesErr) {
		t.Errorf("%v", err)
	}
	onePath(t, "go", "echo 'disk full' >&2; exit 1")
	hinted(t, step.Do(t.Context(), change), "disk full", "spec.verify.probe.image")
	if len(p.loaded) != 1 {
		t.Errorf("loaded %v", p.loaded)
	}
}

// TestRecordOfACompiledProbe: what verify will ask for is what the nodes were given.
func TestRecordOfACompiledProbe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Mesh)
		want   string
	}{
		"of the bundle":               {func(*Mesh) {}, ownProbe},
		"compiled":                    {func(m *Mesh) { m.BuildProbe = true }, strings.Split(images.Probe(), "@")[0]},
		"pulled":                      {func(m *Mesh) { m.Bundle, m.Pull = nil, true }, images.Probe()},
		"the file's, of a bundle":     {func(m *Mesh) { m.Bundle.Images, m.Topology.Spec.Verify.Probe.Image = nil, "x/probe:1" }, "x/probe:1"},
		"the file's, of registries":   {func(m *Mesh) { m.Bundle, m.Pull, m.Topology.Spec.Verify.Probe.Image = nil, true, "x/probe:1" }, "x/probe:1"},
		"of a mirror, not a bundle's": {func(m *Mesh) { m.Bundle, m.Pull, m.Topology.Spec.Images.Mirror = nil, true, "m.example" }, "m.example/meshfed/probe:"},
	} {
		m, _, _ := workloads(t, "")
		test.change(m)
		c := newKube(t, "west")
		wanted, err := ownership{m}.wanted(t.Context(), c.Client, nil)
		if err != nil || !strings.HasPrefix(wanted.Data["probeImage"], test.want) || test.want == "" {
			t.Errorf("%s: %q, %v", name, wanted.Data["probeImage"], err)
		}
	}
}

// TestImagesFrom names each registry once.
func TestImagesFrom(t *testing.T) {
	t.Parallel()
	m := newMesh(t, example)
	if got := m.ImagesFrom(); !strings.Contains(got, "docker.io, ") || strings.Count(got, "docker.io") != 1 || !strings.Contains(got, "quay.io") {
		t.Error(got)
	}
	m.Topology.Spec.Images.Mirror = "http://mirror.example:5000/mesh"
	m.Topology.Spec.Verify.Probe.Image = ""
	if got := m.ImagesFrom(); got != "mirror.example:5000" {
		t.Error(got)
	}
}

// TestStartedAgainWithoutImages: a cluster that is stopped or needs a look keeps the image that
// it was made from, so that neither a bundle nor a registry is asked for; one that has to be
// made needs them.
func TestStartedAgainWithoutImages(t *testing.T) {
	t.Parallel()
	for state, fine := range map[cluster.State]bool{
		cluster.Stopped: true, cluster.Paused: true, cluster.Impaired: true, cluster.Ready: true, cluster.Absent: false, cluster.HalfMade: false,
	} {
		p := &hosted{status: cluster.Status{State: state}}
		m := newMesh(t, example)
		m.Provider, m.Pull = p, true
		err := m.makeCluster(t.Context(), "west", graph.Change{Action: graph.Create})
		switch {
		case fine && (!errors.Is(err, errNoKubeconfig) || len(p.ensured) != 1 || p.ensured[0].Image != ""):
			t.Errorf("%s: %v, %+v", state, err, p.ensured)
		case !fine && (!errors.Is(err, errNothingToMakeFrom) || len(p.ensured) > 0):
			t.Errorf("%s: %v, %+v", state, err, p.ensured)
		case !fine && len(diag.Hints(err)) == 0:
			t.Errorf("%s: no hint", state)
		}
	}
	p := &hosted{lookErr: errors.New("podman: cannot connect")}
	m := newMesh(t, example)
	m.Provider = p
	if err := m.makeCluster(t.Context(), "west", graph.Change{Action: graph.Create}); !errors.Is(err, p.lookErr) {
		t.Errorf("%v", err)
	}
}

// TestAnOlderProbeIsReplaced: clusters that have all images in their nodes are brought the probe of
// this program when they have that of an earlier one, and nothing else.
func TestAnOlderProbeIsReplaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		probe string
		inIt  bool
	}{
		"an earlier bundle's":  {bundle.ProbeRepository + ":earlier", true},
		"this bundle's":        {ownProbe, false},
		"somebody else's":      {"x/probe:1", false},
		"no record of any yet": {"", false},
	} {
		m, p, _ := workloads(t, "")
		m.Bundle.Settings.ImagesInNode = true
		if test.probe != "" {
			m.records = map[string]*record{"west": {probe: test.probe}}
		}
		steps, last := m.loadSteps(m.Topology.Cluster("west"))
		if got := len(steps) > 0; got != test.inIt || got != (last == "images@west") {
			t.Errorf("%s: steps %v, last %s", name, steps, last)
		}
		if !test.inIt {
			continue
		}
		step := loadImages{m, "west"}
		change, err := step.Look(t.Context())
		if err != nil || change.Reason != ownProbe {
			t.Errorf("%s: %+v, %v", name, change, err)
		}
		if err := step.Do(t.Context(), change); err != nil || !slices.Contains(p.images, ownProbe) {
			t.Errorf("%s: the nodes have %v, %v", name, p.images, err)
		}
	}
}
