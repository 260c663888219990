// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// tree is the content of a layer: files by their path in the image, without the leading slash.
type tree struct{ entries map[string]entry }

type entry struct {
	mode   int64
	target string // of a symbolic link
	dir    bool
	size   int64
	open   func() (io.ReadCloser, error)
}

func newTree() *tree { return &tree{entries: map[string]entry{}} }

// put adds a file with this content.
func (t *tree) put(name string, mode int64, data []byte) {
	t.add(name, entry{mode: mode, size: int64(len(data)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}})
}

// copy adds a file of this host.
func (t *tree) copy(name string, mode int64, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("adding /%s to an image: %w", name, err)
	}
	t.add(name, entry{mode: mode, size: info.Size(), open: func() (io.ReadCloser, error) { return os.Open(from) }})
	return nil
}

// link adds a symbolic link.
func (t *tree) link(name, target string) { t.add(name, entry{mode: 0o777, target: target}) }

// folder adds an empty folder.
func (t *tree) folder(name string) { t.add(name, entry{mode: 0o755, dir: true}) }

func (t *tree) add(name string, e entry) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if _, ok := t.entries[parent]; !ok {
			t.entries[parent] = entry{mode: 0o755, dir: true}
		}
	}
	t.entries[name] = e
}

// write puts the tree into an archive: sorted, owned by root, without times.
func (t *tree) write(w *tar.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		if err := t.entries[name].write(w, name); err != nil {
			return fmt.Errorf("writing /%s: %w", name, err)
		}
	}
	return nil
}

func (e entry) write(w *tar.Writer, name string) error {
	h := &tar.Header{Name: name, Mode: e.mode, Format: tar.FormatPAX, ModTime: epoch()}
	switch {
	case e.dir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case e.target != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.target
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.size
	}
	if err := w.WriteHeader(h); err != nil || e.open == nil {
		return err
	}
	r, err := e.open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}
