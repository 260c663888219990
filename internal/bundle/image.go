// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations by which an image layout names its images: for OCI tools and for containerd.
const (
	refAnnotation  = "org.opencontainers.image.ref.name"
	nameAnnotation = "io.containerd.image.name"
)

// sizeAnnotation is the size of a layer before it was compressed, which an archive needs at once.
const sizeAnnotation = "meshfed.io/uncompressed-size"

// searchPath lets images be started by the name of their program.
const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// newImage puts layers and a configuration together.
func newImage(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config.Env = append([]string{searchPath}, config.Env...)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: "amd64", OS: "linux", Created: v1.Time{Time: epoch()}, Config: config, RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, fmt.Errorf("assembling an image: %w", err)
	}
	for _, l := range layers {
		add := mutate.Addendum{Layer: l}
		if own, ok := l.(*layer); ok {
			add.Annotations = map[string]string{sizeAnnotation: strconv.FormatInt(own.RawSize, 10)}
		}
		if img, err = mutate.Append(img, add); err != nil {
			return nil, fmt.Errorf("assembling an image: %w", err)
		}
	}
	return img, nil
}

// config is what the component's program needs to start.
func (c component) config() v1.Config {
	return v1.Config{User: c.user, Entrypoint: c.entrypoint, Env: c.env}
}

// addImage adds an image under its name to the image layout in dir, which it makes if need be.
// Layers that lie on this disk are linked, not copied.
func addImage(dir, name string, img v1.Image) error {
	l, err := layout.FromPath(dir)
	if err != nil {
		if l, err = layout.Write(dir, empty.Index); err != nil {
			return fmt.Errorf("making an image layout: %w", err)
		}
	}
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("adding image %s: %w", name, err)
	}
	for _, each := range layers {
		if own, ok := each.(*layer); ok {
			if err := linkFile(own.file, filepath.Join(dir, "blobs", own.ZstdHash.Algorithm, own.ZstdHash.Hex)); err != nil {
				return fmt.Errorf("adding image %s: %w", name, err)
			}
		}
	}
	err = l.AppendImage(img, layout.WithAnnotations(map[string]string{refAnnotation: name, nameAnnotation: name}))
	if err != nil {
		return fmt.Errorf("adding image %s: %w", name, err)
	}
	return nil
}

// listImages returns what an image layout holds, by name.
func listImages(dir string) (map[string]v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("opening image layout %s: %w", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("opening image layout %s: %w", dir, err)
	}
	images := map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		img, err := index.Image(m.Digest)
		if err != nil {
			return nil, fmt.Errorf("opening image layout %s: %w", dir, err)
		}
		images[m.Annotations[refAnnotation]] = img
	}
	return images, nil
}

// linkFile makes to the same file as from, or a copy of it on another disk. to may exist.
func linkFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	err := os.Link(from, to)
	if err == nil || os.IsExist(err) {
		return nil
	}
	return copyFile(from, to)
}
