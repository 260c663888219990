// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStoreKeepsModesAndLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fs := filepath.Join(root, "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs")
	if err := writeFiles(root, map[string][]byte{
		"io.containerd.metadata.v1.bolt/meta.db":                   []byte("meta"),
		"io.containerd.content.v1.content/blobs/sha256/abc":        []byte("m"),
		"io.containerd.content.v1.content/ingest/half":             []byte("x"),
		"io.containerd.runtime.v2.task/state":                      []byte("x"),
		"io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/su": []byte("su"),
	}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return os.Chmod(filepath.Join(fs, "su"), os.ModeSetuid|0o755) },
		func() error { return os.Link(filepath.Join(fs, "su"), filepath.Join(fs, "su2")) },
		func() error { return os.Symlink("su", filepath.Join(fs, "link")) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := writeLayer(dir, writeStore(root)); err != nil {
		t.Fatal(err)
	}
	l, err := openLayer(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const in = storeDir + "/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/"
	type file struct {
		Kind byte
		Mode int64
		Link string
	}
	found := map[string]file{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeDir {
			found[h.Name] = file{h.Typeflag, h.Mode & 0o7777, h.Linkname}
		}
		if h.Uid != os.Getuid() || !h.ModTime.Equal(epoch()) {
			t.Errorf("%s belongs to %d and is of %v", h.Name, h.Uid, h.ModTime)
		}
	}
	want := map[string]file{
		in + "su":   {tar.TypeReg, 0o4755, ""},
		in + "su2":  {tar.TypeLink, 0o4755, in + "su"},
		in + "link": {tar.TypeSymlink, 0o777, "su"},
		storeDir + "/io.containerd.metadata.v1.bolt/meta.db":            {tar.TypeReg, 0o644, ""},
		storeDir + "/io.containerd.content.v1.content/blobs/sha256/abc": {tar.TypeReg, 0o644, ""},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

func TestFillStoreReportsBrokenContainerd(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "containerd"), []byte("#!/bin/sh\necho no overlay here >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace")
	}
	err := fillStore(t.Context(), bin, t.TempDir(), t.TempDir(), &logFile{})
	if err == nil || !containsAll(err.Error(), "starting containerd", "no overlay here") {
		t.Errorf("got %v", err)
	}
}
