// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
)

// manifestFile describes the bundle; it is written last.
const manifestFile = "bundle.json"

// Folders of a bundle: two OCI image layouts and the charts.
const (
	imagesDir = "images"
	nodeDir   = "node"
	chartsDir = "charts"
)

// Manifest is what bundle.json says.
type Manifest struct {
	// Created is when the bundle was put together, UTC.
	Created time.Time `json:"created"`
	// Key is the hash of everything that the bundle was made from.
	Key string `json:"key"`
	// Kubernetes and Istio are releases, the first with a leading v.
	Kubernetes string `json:"kubernetes"`
	Istio      string `json:"istio"`
	// NodeImage is the name and tag of the kind node image.
	NodeImage string `json:"nodeImage"`
	// Images are all images, the node image first.
	Images []Image `json:"images"`
	// Charts are Helm charts that are not compiled into the program.
	Charts []Chart `json:"charts"`
	// Substitutions say in words where the content differs from what upstream publishes.
	Substitutions []string `json:"substitutions"`
	// Debian lists the system packages of the node and of the proxies.
	Debian []Package `json:"debian"`
	// Settings are properties that others must act on.
	Settings Settings `json:"settings"`
}

// Image is one image of a bundle.
type Image struct {
	// Name with tag, as clusters name it.
	Name string `json:"name"`
	// Digest of its manifest and Size in bytes of its layers as they lie in the bundle.
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	// Source says from what it was made.
	Source string `json:"source"`
}

// Chart is a packed Helm chart; File is relative to the bundle.
type Chart struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	File    string `json:"file"`
}

// Package is an installed Debian package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Settings are what the images of a bundle mean to Istio and kind.
type Settings = registry.Settings

// Bundle is a bundle on disk.
type Bundle struct {
	// Dir is the folder that holds it.
	Dir string `json:"-"`
	Manifest
}

const buildHint = "meshfed bundle pull or meshfed bundle build makes it; --bundle names one that lies elsewhere"

// Open reads the bundle in dir and checks that all its files are there with their sizes. It does
// not read image content. A folder without a bundle gives an error that wraps fs.ErrNotExist.
func Open(dir string) (*Bundle, error) {
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, diag.Hint(fmt.Errorf("there is no image bundle in %s: %w", dir, fs.ErrNotExist), buildHint)
	}
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("opening the image bundle: %w", err), buildHint)
	}
	b := &Bundle{Dir: dir, Manifest: m}
	if err := b.check(); err != nil {
		return nil, diag.Hint(fmt.Errorf("image bundle %s is damaged: %w", dir, err), "remove the folder; "+buildHint)
	}
	return b, nil
}

// readManifest reads what a bundle says of itself.
func readManifest(dir string) (m Manifest, err error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return m, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("reading %s: %w", filepath.Join(dir, manifestFile), err)
	}
	m.Settings.ImagesInNode = m.Settings.ImagesInNode || older(data, m.Settings)
	return m, nil
}

// older says whether the images lie in the node image of a bundle that does not say it: those
// that were written before one could be pulled were all built from source.
func older(data []byte, s Settings) bool {
	var said struct {
		Settings struct {
			ImagesInNode *bool `json:"imagesInNode"`
		} `json:"settings"`
	}
	return json.Unmarshal(data, &said) == nil && said.Settings.ImagesInNode == nil && s.UpstreamEnvoy
}

// check compares the manifest with the files.
func (b *Bundle) check() error {
	found := map[string]string{}
	for _, dir := range []string{imagesDir, nodeDir} {
		list, err := describeImages(filepath.Join(b.Dir, dir))
		if err != nil {
			return err
		}
		for _, i := range list {
			found[i.Name] = i.Digest
		}
	}
	for _, i := range b.Images {
		if found[i.Name] != i.Digest {
			return fmt.Errorf("image %s is %q, the manifest says %s", i.Name, found[i.Name], i.Digest)
		}
	}
	if _, ok := found[b.NodeImage]; !ok {
		return fmt.Errorf("node image %s is missing", b.NodeImage)
	}
	for _, c := range b.Charts {
		if _, err := os.Stat(filepath.Join(b.Dir, filepath.FromSlash(c.File))); err != nil {
			return fmt.Errorf("chart %s: %w", c.Name, err)
		}
	}
	return nil
}

// describeImages lists the images of a layout and checks that every layer is there in full.
func describeImages(dir string) ([]Image, error) {
	found, err := listImages(dir)
	if err != nil {
		return nil, err
	}
	var list []Image
	for name, img := range found {
		m, err := img.Manifest()
		if err != nil {
			return nil, fmt.Errorf("reading image %s: %w", name, err)
		}
		digest, err := img.Digest()
		if err != nil {
			return nil, fmt.Errorf("reading image %s: %w", name, err)
		}
		size := int64(0)
		for _, l := range append(m.Layers, m.Config) {
			info, err := os.Stat(filepath.Join(dir, "blobs", l.Digest.Algorithm, l.Digest.Hex))
			if err != nil {
				return nil, fmt.Errorf("image %s: %w", name, err)
			}
			if info.Size() != l.Size {
				return nil, fmt.Errorf("image %s: %s has %d bytes, want %d", name, l.Digest, info.Size(), l.Size)
			}
			size += l.Size
		}
		list = append(list, Image{Name: name, Digest: digest.String(), Size: size})
	}
	return list, nil
}

// Image returns the name with tag of the bundle's image of a repository such as ProbeRepository,
// and false when it has none. The registry does not matter: localhost/meshfed/probe is also
// found as ghcr.io/meshfed/probe.
func (b *Bundle) Image(repository string) (string, bool) {
	for _, i := range b.Images {
		if strings.HasPrefix(images.Path(i.Name), images.Path(repository)+":") {
			return i.Name, true
		}
	}
	return "", false
}

// ProbeImage is the name with tag of the probe's image, empty when the bundle has none.
func (b *Bundle) ProbeImage() string {
	name, _ := b.Image(ProbeRepository)
	return name
}

// Chart returns the path of a packed chart by its name, such as metallb.
func (b *Bundle) Chart(name string) (string, error) {
	for _, c := range b.Charts {
		if c.Name == name {
			return filepath.Join(b.Dir, filepath.FromSlash(c.File)), nil
		}
	}
	return "", fmt.Errorf("image bundle %s has no chart %s", b.Dir, name)
}

// HasChart returns the path of a packed chart of one version, and false when there is none.
func (b *Bundle) HasChart(name, version string) (string, bool) {
	for _, c := range b.Charts {
		if c.Name == name && c.Version == version {
			return filepath.Join(b.Dir, filepath.FromSlash(c.File)), true
		}
	}
	return "", false
}
