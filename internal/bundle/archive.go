// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
)

// named is an image and the name that it gets where it is unpacked.
type named struct {
	name  string
	image v1.Image
}

// Archive writes images of the bundle, under the names asked for, in the format that engines
// load and nodes import. A name is one of the bundle's, or the same path and tag on another
// registry: mirror.example/mesh/istio/pilot:1 is the bundle's docker.io/istio/pilot:1. It blocks
// until w has taken everything.
func (b *Bundle) Archive(ctx context.Context, w io.Writer, names ...string) error {
	var list []named
	for _, name := range names {
		own, ok := b.find(name)
		if !ok {
			return diag.Hint(fmt.Errorf("image bundle %s has no image %s", b.Dir, name), "`meshfed bundle pull` fetches what the topology file names")
		}
		img, err := b.open(own)
		if err != nil {
			return err
		}
		list = append(list, named{untagged(name), img})
	}
	if err := writeArchive(ctx, w, list...); err != nil {
		return fmt.Errorf("writing images of bundle %s: %w", b.Dir, err)
	}
	return nil
}

// Has says whether the bundle holds an image that is called so: under this name, or under the
// same path and tag of another registry.
func (b *Bundle) Has(name string) bool {
	_, ok := b.find(name)
	return ok
}

func (b *Bundle) find(name string) (string, bool) {
	for _, i := range b.Images {
		if i.Name == name {
			return i.Name, true
		}
	}
	// A mirror may have everything below a path of its own.
	path := "/" + images.Path(untagged(name))
	for _, i := range b.Images {
		if strings.HasSuffix(path, "/"+images.Path(i.Name)) {
			return i.Name, true
		}
	}
	return "", false
}

// open opens an image of the bundle by its own name.
func (b *Bundle) open(name string) (v1.Image, error) {
	for _, dir := range []string{nodeDir, imagesDir} {
		found, err := listImages(filepath.Join(b.Dir, dir))
		if err != nil {
			return nil, err
		}
		if img, ok := found[name]; ok {
			return img, nil
		}
	}
	return nil, fmt.Errorf("image bundle %s has no image %s", b.Dir, name)
}

// writeArchive writes images in the format that every engine loads. Layers are not compressed:
// engines of any age read that, and the pipe costs nothing. A layer that images share is
// written once.
func writeArchive(ctx context.Context, w io.Writer, list ...named) error {
	a := archive{w: tar.NewWriter(w), written: map[string]bool{}}
	var index []map[string]any
	for _, each := range list {
		entry, err := a.add(ctx, each)
		if err != nil {
			return err
		}
		index = append(index, entry)
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := a.file("manifest.json", data); err != nil {
		return err
	}
	return a.w.Close()
}

type archive struct {
	w       *tar.Writer
	written map[string]bool
}

// add writes an image's layers and configuration, and returns its entry of the index.
func (a archive) add(ctx context.Context, n named) (map[string]any, error) {
	config, err := n.image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	id, err := n.image.ConfigName()
	if err != nil {
		return nil, err
	}
	layers, err := n.image.Layers()
	if err != nil {
		return nil, err
	}
	manifest, err := n.image.Manifest()
	if err != nil {
		return nil, err
	}
	var names []string
	for i, l := range layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		diff, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		names = append(names, diff.Hex+".tar")
		if err := a.layer(diff.Hex+".tar", l, manifest.Layers[i].Annotations[sizeAnnotation]); err != nil {
			return nil, fmt.Errorf("writing layer %s: %w", diff, err)
		}
	}
	if err := a.file(id.Hex+".json", config); err != nil {
		return nil, err
	}
	return map[string]any{"Config": id.Hex + ".json", "RepoTags": []string{n.name}, "Layers": names}, nil
}

func (a archive) file(name string, data []byte) error {
	if a.written[name] {
		return nil
	}
	a.written[name] = true
	if err := a.w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: epoch()}); err != nil {
		return err
	}
	_, err := a.w.Write(data)
	return err
}

func (a archive) layer(name string, l v1.Layer, rawSize string) error {
	if a.written[name] {
		return nil
	}
	a.written[name] = true
	size, err := rawLength(l, rawSize)
	if err != nil {
		return fmt.Errorf("reading its size: %w", err)
	}
	if err := a.w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	_, err = io.Copy(a.w, r)
	return errors.Join(err, r.Close())
}

// rawLength is the size of a layer that is not compressed. Images that are built here say it;
// others have to be read twice.
func rawLength(l v1.Layer, said string) (int64, error) {
	if said != "" {
		return strconv.ParseInt(said, 10, 64)
	}
	r, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, r)
	return n, errors.Join(err, r.Close())
}
