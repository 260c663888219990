// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/internal/charts"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// pulling bounds how many images are fetched at once.
const pulling = 3

// puller pulls one bundle.
type puller struct {
	o       PullOptions
	options registry.Options
	blobs   blobs
	wanted  []wanted
	charts  []Chart // File is the path on this host
	track   *tracker
}

// wanted is an image to pull.
type wanted struct {
	// from is where it is pulled from, name how the bundle calls it.
	from, name string
	label      string // what a reader sees while it is pulled
	kubernetes string // of a node image: its release; empty for others
	found      registry.Found
	manifest   []byte
	digest     v1.Hash
	parts      []v1.Descriptor // layers and configuration
}

// wantedImages lists what a topology is made of: under published names, from its mirror.
func wantedImages(t *topology.Topology, nodeOnly bool) []wanted {
	plain := *t
	plain.Spec.Images.Mirror = ""
	var nodes, others []wanted
	for _, version := range images.Versions(t) {
		from, as := images.Published(t, version), images.Published(&plain, version)
		nodes = append(nodes, newWanted(from.Node, as.Node, tag(as.Node)))
		others = others[:0]
		for i, name := range as.Workloads() {
			others = append(others, newWanted(from.Workloads()[i], name, ""))
		}
	}
	if nodeOnly {
		return nodes
	}
	return append(nodes, others...)
}

func newWanted(from, name, kubernetes string) wanted {
	return wanted{from: from, name: untagged(name), label: "pull " + untagged(name), kubernetes: kubernetes}
}

// PullItems lists what Pull fetches, in order: the Item of each Progress, and about how many
// seconds it takes at ten megabytes a second.
func PullItems(t *topology.Topology) []Item {
	var items []Item
	for _, w := range wantedImages(t, false) {
		item := Item{Name: w.label, Seconds: 5}
		if w.kubernetes != "" {
			item.Seconds = 45
		}
		items = append(items, item)
	}
	return items
}

// untagged is a name without its digest; one that has nothing but a digest gets a tag of it.
func untagged(name string) string {
	bare, digest, ok := strings.Cut(name, "@")
	if ok && tag(bare) == "" {
		_, hex, _ := strings.Cut(digest, ":")
		return bare + ":" + hex[:min(12, len(hex))]
	}
	return bare
}

// tag of an image's name; empty when it has none.
func tag(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[i+1:]
	}
	return ""
}

// find asks the registries for all images, and fetches the charts, which are small.
func (p *puller) find(ctx context.Context) error {
	var probe []artefact
	probe, p.wanted = p.apart(wantedImages(p.o.Topology, p.o.NodeOnly))
	if len(p.wanted) == 0 {
		return diag.Hint(errors.New("the topology has no kind cluster"), "clusters of other providers pull their images themselves")
	}
	var refs []string
	for _, w := range p.wanted {
		refs = append(refs, w.from)
	}
	found, err := registry.Find(ctx, refs, p.options)
	if err != nil {
		return err
	}
	var items []artefact
	for i := range p.wanted {
		if err := p.wanted[i].describe(found[p.wanted[i].from]); err != nil {
			return p.options.Explain(p.wanted[i].from, err)
		}
		items = append(items, p.wanted[i].item())
	}
	p.track = newTracker(append(items, probe...), p.o.Observe)
	for _, a := range probe {
		p.track.finished(a, true, 0)
	}
	fetcher := charts.Fetcher{Dir: p.o.ChartDir, Keychain: p.options.Keychain}
	for _, ref := range p.o.charts() {
		path, err := fetcher.Fetch(ctx, ref)
		if err != nil {
			return err
		}
		p.charts = append(p.charts, Chart{Name: ref.Name, Version: ref.Version, File: path})
	}
	return nil
}

// apart takes the probe out of what is pulled, when it is not to be.
func (p *puller) apart(all []wanted) (probe []artefact, others []wanted) {
	for _, w := range all {
		if p.o.WithoutProbe && w.name == untagged(images.Probe()) {
			probe = append(probe, artefact{item: w.label})
			continue
		}
		others = append(others, w)
	}
	return probe, others
}

// describe takes over what a registry says of an image.
func (w *wanted) describe(found registry.Found) error {
	m, err := found.Image.Manifest()
	if err != nil {
		return err
	}
	if w.manifest, err = found.Image.RawManifest(); err != nil {
		return err
	}
	if w.digest, err = found.Image.Digest(); err != nil {
		return err
	}
	w.found, w.parts = found, append(slices.Clone(m.Layers), m.Config)
	// A node image that was built from source keeps its own name: under the published one it
	// would take the place of the published image in the engine.
	if key := found.Labels[keyLabel]; w.kubernetes != "" && key != "" {
		w.name = NodeRepository + ":" + w.kubernetes + "-" + key[:min(12, len(key))]
	}
	return nil
}

func (w *wanted) size() (n int64) {
	for _, d := range w.parts {
		n += d.Size
	}
	return n
}

// item stands for the image in what is told of progress.
func (w *wanted) item() artefact {
	return artefact{item: w.label, weight: float64(w.size()) / (1 << 20)}
}

// key is the same for the same content.
func (p *puller) key() string {
	var parts []string
	for _, w := range p.wanted {
		parts = append(parts, w.name, w.digest.String())
	}
	for _, c := range p.charts {
		parts = append(parts, c.Name, c.Version)
	}
	return hash(parts...)
}

// skip tells that everything is there.
func (p *puller) skip() {
	for i := range p.wanted {
		p.track.finished(p.wanted[i].item(), true, 0)
	}
}

// fetch gets all content that is not there, several images at once. Content that images share
// is fetched with the first one.
func (p *puller) fetch(ctx context.Context) error {
	if err := p.space(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pulling)
	taken := map[v1.Hash]bool{}
	for i := range p.wanted {
		w := &p.wanted[i]
		var own []v1.Descriptor
		for _, d := range w.parts {
			if !taken[d.Digest] {
				taken[d.Digest] = true
				own = append(own, d)
			}
		}
		group.Go(func() error { return p.image(ctx, w, own) })
	}
	return group.Wait()
}

// space refuses to begin what the disk can not hold.
func (p *puller) space() error {
	need := uint64(64 << 20)
	for _, w := range p.wanted {
		for _, d := range w.parts {
			if !p.blobs.has(d) {
				need += uint64(d.Size)
			}
		}
	}
	have, err := freeSpace(filepath.Dir(p.o.Dir))
	if err != nil {
		return fmt.Errorf("asking for free disk space: %w", err)
	}
	if have < need {
		const mib = 1 << 20
		return diag.Hint(fmt.Errorf("the disk of %s has %d MiB free, the images need %d MiB", filepath.Dir(p.o.Dir), have/mib, need/mib),
			"make room there, or name another folder with --dir")
	}
	return nil
}

func (p *puller) image(ctx context.Context, w *wanted, parts []v1.Descriptor) error {
	began, item := time.Now(), w.item()
	if !slices.ContainsFunc(parts, func(d v1.Descriptor) bool { return !p.blobs.has(d) }) {
		p.track.finished(item, true, 0)
		return nil
	}
	p.track.started(item)
	var come, told atomic.Int64
	const mib = 1 << 20
	tell := func(n int64) {
		// Each megabyte is news, each packet is not.
		if now := come.Add(n) / mib; now != told.Swap(now) {
			p.track.detail(item, fmt.Sprintf("%d of %d MiB", now, w.size()/mib))
		}
	}
	for _, d := range parts {
		if err := p.blobs.fetch(ctx, d, w.opener(d), tell); err != nil {
			if errors.Is(err, errDisk) {
				return fmt.Errorf("keeping %s: %w", w.name, err)
			}
			return p.options.Explain(w.from, err)
		}
	}
	p.track.finished(item, false, time.Since(began))
	return nil
}

// opener reads a part of the image from its registry.
func (w *wanted) opener(d v1.Descriptor) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		config, err := w.found.Image.ConfigName()
		if err != nil {
			return nil, err
		}
		if d.Digest == config {
			data, err := w.found.Image.RawConfigFile()
			return io.NopCloser(strings.NewReader(string(data))), err
		}
		l, err := w.found.Image.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	}
}
