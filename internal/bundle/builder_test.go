// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func testBuilder(t *testing.T, compiler string) *builder {
	t.Helper()
	b, err := newBuilder(cache{t.TempDir()}, &logFile{}, compiler)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keysOf lists the keys of everything that is built, by item.
func keysOf(b *builder) map[string]string {
	keys := map[string]string{}
	for _, a := range b.all() {
		keys[a.item] = a.key
	}
	return keys
}

// TestKeysFollowInputs changes one input at a time: what is made from it is made again, and
// nothing else.
func TestKeysFollowInputs(t *testing.T) {
	t.Parallel()
	programs := []string{"compile pause", "compile probe", "compile cni", "compile containerd", "compile etcd", "compile metallb",
		"compile coredns", "compile kubernetes", "compile istiod", "compile istio-agent"}
	fromPrograms := []string{"component images", "node files", "shared image store", "node image"}
	pinned := slices.DeleteFunc(slices.Clone(programs), func(s string) bool { return s == "compile pause" || s == "compile probe" })
	tests := []struct {
		name   string
		change func(*builder)
		want   []string
	}{
		{"nothing", func(*builder) {}, nil},
		{"compiler", func(b *builder) { b.compile = "go1.99" }, slices.Concat(programs, fromPrograms)},
		{"module sums", func(b *builder) { b.keys["components.sum"] = "x" },
			slices.Concat([]string{"module of all components"}, pinned, fromPrograms)},
		{"pause", func(b *builder) { b.keys["pause"] = "x" },
			[]string{"module of all components", "compile pause", "component images", "shared image store", "node image"}},
		{"patch", func(b *builder) { b.keys["patch.go"] = "x" },
			[]string{"module of all components", "compile metallb", "component images", "shared image store", "node image"}},
		{"probe", func(b *builder) { b.probe = map[string][]byte{"a.go": nil} },
			[]string{"module of all components", "compile probe", "component images", "shared image store", "node image"}},
		{"node script", func(b *builder) { b.keys["node"] = "x" }, []string{"node files", "node image"}},
		{"store recipe", func(b *builder) { b.keys["store.go"] = "x" }, []string{"shared image store", "node image"}},
		{"chart recipe", func(b *builder) { b.keys["chart.go"] = "x" }, []string{"MetalLB's chart"}},
		{"image user", func(b *builder) { b.images[0].user = "65534" }, []string{"component images", "shared image store", "node image"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before, b := keysOf(testBuilder(t, "go1.26")), testBuilder(t, "go1.26")
			test.change(b)
			var changed []string
			for item, key := range keysOf(b) {
				if before[item] != key {
					changed = append(changed, item)
				}
			}
			slices.Sort(changed)
			want := slices.Sorted(slices.Values(test.want))
			if !slices.Equal(changed, want) {
				t.Errorf("made again:\n %q\nwant\n %q", changed, want)
			}
		})
	}
}

func TestPinsAgreeWithModules(t *testing.T) {
	t.Parallel()
	data, err := source("components.mod")
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	var replaced []string
	for line := range strings.SplitSeq(string(data), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) >= 2 && strings.HasPrefix(line, "\t"):
			versions[f[0]] = f[1]
		case len(f) == 5 && f[0] == "replace":
			replaced = append(replaced, f[1], f[4])
		}
	}
	if !strings.Contains(string(data), "\ngo "+minGo+"\n") {
		t.Errorf("components.mod does not ask for Go %s", minGo)
	}
	etcd, _, _ := strings.Cut(etcdVersion, "-")
	for module, want := range map[string]string{
		"k8s.io/kubernetes": KubernetesVersion, metallbModule: "v" + MetalLBVersion, kindModule: KindVersion,
		"github.com/coredns/coredns": corednsVersion, "go.etcd.io/etcd/server/v3": "v" + etcd,
	} {
		if versions[module] != want {
			t.Errorf("%s is %s in components.mod, %s in pins.go", module, versions[module], want)
		}
	}
	// One version of the Kubernetes libraries: all staging modules are the release's own.
	library := strings.Replace(KubernetesVersion, "v1.", "v0.", 1)
	if len(replaced) < 40 {
		t.Errorf("components.mod replaces %d modules, want all of Kubernetes'", len(replaced)/2)
	}
	for i := 0; i+1 < len(replaced); i += 2 {
		if strings.HasPrefix(replaced[i], "k8s.io/") && replaced[i+1] != library {
			t.Errorf("%s is %s, want %s", replaced[i], replaced[i+1], library)
		}
	}
}

func TestTablesFitTogether(t *testing.T) {
	t.Parallel()
	made := map[program]bool{}
	for _, g := range goBuilds() {
		for _, p := range g.packages {
			made[program{g.name, g.output(p)}] = true
		}
	}
	names := map[string]bool{}
	for _, c := range components(ProbeRepository + ":x") {
		if names[c.name] {
			t.Errorf("two images are called %s", c.name)
		}
		names[c.name] = true
		if strings.HasSuffix(c.name, ":latest") || c.source == "" {
			t.Errorf("%s has no fixed tag or no source", c.name)
		}
		for _, f := range c.files {
			if f.extra == "" && !made[f.program] {
				t.Errorf("%s wants %v, which no build makes", c.name, f.program)
			}
		}
	}
	items := map[string]bool{}
	for _, i := range Items() {
		if items[i.Name] || i.Seconds <= 0 {
			t.Errorf("item %q appears twice or costs nothing", i.Name)
		}
		items[i.Name] = true
	}
	if want := keysOf(testBuilder(t, "go1")); len(items) != len(want) || !maps.EqualFunc(want, items, func(string, bool) bool { return true }) {
		t.Errorf("Items lists %d items, a build makes %d", len(items), len(want))
	}
}

// TestPathsCoverLayers: a prune must not drop the layers that images are linked to.
func TestPathsCoverLayers(t *testing.T) {
	t.Parallel()
	b := testBuilder(t, "go1")
	paths := b.paths()
	for _, part := range append(b.nodeParts(), b.baseLayer(), b.componentLayer(b.images[0])) {
		if !paths[b.cache.path(part)] {
			t.Errorf("%s is not kept", part.item)
		}
	}
}
