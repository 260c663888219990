// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// BuildOptions say where to build and who is told. The zero value builds the default bundle.
type BuildOptions struct {
	// Dir is the bundle; empty means DefaultDir. What it held is replaced at the end.
	Dir string
	// CacheDir keeps what is built; empty means DefaultCacheDir.
	CacheDir string
	// Observe is told of each change of state, from several goroutines one after another.
	Observe func(Progress)
	// Log receives all output of compilers and installers.
	Log io.Writer
	// Prune removes all artefacts of earlier builds from the cache; without it those go that no
	// build has used for two weeks.
	Prune bool
}

// Build makes the bundle and blocks until it is complete: about 20 minutes from nothing on two
// cores, seconds when nothing has changed. It needs root, Go, Python with pip and mmdebstrap, and
// names what is missing before it starts. An interrupted build goes on where it stopped.
func Build(ctx context.Context, o BuildOptions) (*Bundle, error) {
	// Before anything else: what follows looks at places that only Linux has.
	if err := checkPlatform(runtime.GOOS, runtime.GOARCH); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir = DefaultDir()
	}
	if o.CacheDir == "" {
		o.CacheDir = DefaultCacheDir()
	}
	// Tools run in folders of their own, where a relative path means another place.
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("finding the bundle's folder: %w", err)
	}
	if o.CacheDir, err = filepath.Abs(o.CacheDir); err != nil {
		return nil, fmt.Errorf("finding the cache: %w", err)
	}
	if err := ours(o.Dir); err != nil {
		return nil, err
	}
	if err := checkTool(tools()[0], lookPath); err != nil {
		return nil, err
	}
	compiler, err := goVersion(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkGo(compiler); err != nil {
		return nil, err
	}
	b, err := newBuilder(cache{o.CacheDir}, &logFile{out: o.Log}, compiler)
	if err != nil {
		return nil, err
	}
	release, err := b.cache.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := endLeftovers(ctx, procDir, o.CacheDir); err != nil {
		return nil, err
	}
	if err := b.cache.clean(nil); err != nil {
		return nil, fmt.Errorf("removing what an earlier build left: %w", err)
	}
	if missing := b.missing(); missing > 0 {
		if err := errors.Join(checkHost(ctx, lookPath), checkSpace(o.CacheDir, space(missing), freeSpace)); err != nil {
			return nil, err
		}
	}
	if err := b.run(ctx, o.Observe); err != nil {
		return nil, err
	}
	if err := b.tidy(o.Prune); err != nil {
		return nil, fmt.Errorf("removing earlier artefacts: %w", err)
	}
	return b.publish(o.Dir)
}

// tidy removes artefacts that this build does not use: all of them, or those that no build has
// used for long, for disks are not endless.
func (b *builder) tidy(all bool) error {
	if all {
		return b.cache.clean(b.paths())
	}
	return b.cache.expire(b.paths(), time.Now())
}

// stages lists everything that is built: stages one after another, the lanes of a stage side by
// side, the artefacts of a lane in order. Image layers are made by the images that they are part of.
func (b *builder) stages() [][][]artefact {
	var programs []artefact
	for _, g := range goBuilds() {
		programs = append(programs, b.program(g))
	}
	return [][][]artefact{
		{{b.workspace()}},
		{programs, {b.envoy(), b.nodeRoot(), b.proxyRoot()}},
		{{b.componentImages(), b.nodeLayer(), b.storeLayer(), b.nodeImage(), b.chart()}},
	}
}

// all lists the artefacts of all stages.
func (b *builder) all() []artefact {
	var list []artefact
	for _, stage := range b.stages() {
		list = append(list, slices.Concat(stage...)...)
	}
	return list
}

// paths is the set of all artefacts' folders, layers too.
func (b *builder) paths() map[string]bool {
	set := map[string]bool{}
	parts := append(b.nodeParts(), b.baseLayer())
	for _, c := range b.images {
		parts = append(parts, b.componentLayer(c))
	}
	for _, a := range append(b.all(), parts...) {
		set[b.cache.path(a)] = true
	}
	return set
}

// missing is the weight of what has to be made.
func (b *builder) missing() float64 {
	seconds := 0.0
	for _, a := range b.all() {
		if !b.cache.has(a) {
			seconds += a.weight
		}
	}
	return seconds
}

// space is how many bytes making what is missing may take.
func space(missing float64) uint64 {
	if missing < 200 {
		return warmSpace
	}
	return coldSpace
}

// Item is one thing that a build makes.
type Item struct {
	// Name is the Item of Progress.
	Name string
	// Seconds that it takes with nothing cached, on two cores.
	Seconds float64
}

// Items lists what Build makes, in order.
func Items() []Item {
	b, err := newBuilder(cache{}, &logFile{}, "")
	if err != nil {
		return nil // embedded files can be read, or nothing here works
	}
	var items []Item
	for _, a := range b.all() {
		items = append(items, Item{Name: a.item, Seconds: a.weight})
	}
	return items
}

func (b *builder) run(ctx context.Context, observe func(Progress)) error {
	b.track = newTracker(b.all(), observe)
	for _, stage := range b.stages() {
		lanes, ctx := errgroup.WithContext(ctx)
		for _, lane := range stage {
			lanes.Go(func() error { return b.lane(ctx, lane) })
		}
		if err := lanes.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// lane makes artefacts one after another.
func (b *builder) lane(ctx context.Context, list []artefact) error {
	for _, a := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		cached, began := b.cache.has(a), time.Now()
		if !cached {
			b.track.started(a)
		}
		if err := b.cache.ensure(ctx, a); err != nil {
			return err
		}
		b.track.finished(a, cached, time.Since(began))
	}
	return nil
}

// buildNamed finds a build; the empty one, which makes nothing, means a mistake in the tables
// that a test rules out.
func buildNamed(name string) goBuild {
	list := goBuilds()
	if i := slices.IndexFunc(list, func(g goBuild) bool { return g.name == name }); i >= 0 {
		return list[i]
	}
	return goBuild{}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
