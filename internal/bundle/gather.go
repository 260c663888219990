// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// gather puts what was pulled together as a bundle in an empty folder.
func (p *puller) gather(dir string) error {
	layouts := map[string]layout.Path{}
	for _, name := range []string{nodeDir, imagesDir} {
		l, err := layout.Write(filepath.Join(dir, name), empty.Index)
		if err != nil {
			return fmt.Errorf("making an image layout: %w", err)
		}
		layouts[name] = l
	}
	m := p.manifest()
	for i := range p.wanted {
		w := &p.wanted[i]
		to := imagesDir
		if w.kubernetes != "" {
			to = nodeDir
		}
		if err := p.add(layouts[to], filepath.Join(dir, to), w); err != nil {
			return fmt.Errorf("adding image %s: %w", w.name, err)
		}
		m.Images = append(m.Images, Image{Name: w.name, Digest: w.digest.String(), Size: w.size(), Source: "pulled from " + w.from})
	}
	for _, c := range p.charts {
		file := path.Join(chartsDir, c.Name+"-"+c.Version+".tgz")
		if err := linkFile(c.File, filepath.Join(dir, filepath.FromSlash(file))); err != nil {
			return fmt.Errorf("adding chart %s: %w", c.Name, err)
		}
		c.File = file
		m.Charts = append(m.Charts, c)
	}
	return writeManifest(dir, m)
}

// add links an image's content into a layout and lists it there.
func (p *puller) add(l layout.Path, dir string, w *wanted) error {
	for _, d := range w.parts {
		if err := linkFile(p.blobs.path(d.Digest), filepath.Join(dir, "blobs", d.Digest.Algorithm, d.Digest.Hex)); err != nil {
			return err
		}
	}
	if err := l.WriteBlob(w.digest, io.NopCloser(bytes.NewReader(w.manifest))); err != nil {
		return err
	}
	media, err := w.found.Image.MediaType()
	if err != nil {
		return err
	}
	return l.AppendDescriptor(v1.Descriptor{
		MediaType: media, Size: int64(len(w.manifest)), Digest: w.digest,
		Annotations: map[string]string{refAnnotation: w.name, nameAnnotation: w.name},
	})
}

// manifest describes the bundle, without its images and charts.
func (p *puller) manifest() Manifest {
	var labels []map[string]string
	m := Manifest{Created: time.Now().UTC().Truncate(time.Second), Key: p.key(), Istio: p.o.Topology.Spec.Istio.Version}
	if m.Istio == "" {
		m.Istio = topology.IstioVersion
	}
	for _, w := range p.wanted {
		labels = append(labels, w.found.Labels)
		if w.kubernetes != "" && m.NodeImage == "" {
			m.NodeImage, m.Kubernetes = w.name, w.kubernetes
		}
	}
	said := registry.Describe(labels...)
	m.Settings, m.Substitutions = said.Settings, said.Substitutions
	return m
}

// For is the bundle for a cluster that asks for a release of Kubernetes, or names its node
// image: the same one, whose NodeImage is that one. It returns false when there is none; empty
// asks for nothing.
func (b *Bundle) For(kubernetes string) (*Bundle, bool) {
	if kubernetes == "" || kubernetes == b.NodeImage {
		return b, true
	}
	found, err := listImages(filepath.Join(b.Dir, nodeDir))
	if err != nil {
		return nil, false
	}
	want := "v" + strings.TrimPrefix(kubernetes, "v")
	for _, name := range sortedKeys(found) {
		release, _, _ := strings.Cut(tag(name), "-")
		if name != untagged(kubernetes) && release != want {
			continue
		}
		other := *b
		other.NodeImage, other.Kubernetes = name, release
		return &other, true
	}
	return nil, false
}
