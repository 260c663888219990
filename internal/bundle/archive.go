// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// writeArchive writes an image in the format that every engine loads. Layers are not compressed:
// engines of any age read that, and the pipe costs nothing.
func writeArchive(w io.Writer, name string, img v1.Image) error {
	t := tar.NewWriter(w)
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	id, err := img.ConfigName()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	var names []string
	for i, l := range layers {
		diff, err := l.DiffID()
		if err != nil {
			return err
		}
		names = append(names, diff.Hex+".tar")
		if err := archiveLayer(t, diff.Hex+".tar", l, manifest.Layers[i].Annotations[sizeAnnotation]); err != nil {
			return fmt.Errorf("writing layer %s: %w", diff, err)
		}
	}
	index, err := json.Marshal([]map[string]any{{"Config": id.Hex + ".json", "RepoTags": []string{name}, "Layers": names}})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{id.Hex + ".json", config}, {"manifest.json", index}} {
		if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: epoch()}); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

func archiveLayer(t *tar.Writer, name string, l v1.Layer, rawSize string) error {
	size, err := strconv.ParseInt(rawSize, 10, 64)
	if err != nil {
		return fmt.Errorf("reading its size: %w", err)
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(t, r)
	return err
}
