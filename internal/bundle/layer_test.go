// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testLayer makes a layer with these files in a folder of its own.
func testLayer(t *testing.T, files map[string]string) (*layer, string) {
	t.Helper()
	dir := t.TempDir()
	content := newTree()
	for name, text := range files {
		content.put(name, 0o644, []byte(text))
	}
	if err := writeLayer(dir, content.write); err != nil {
		t.Fatal(err)
	}
	l, err := openLayer(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l, dir
}

// listing reads an archive as name and content, folders with a slash, links with an arrow.
func listing(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	found := map[string]string{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(data)
		if h.Linkname != "" {
			found[h.Name] = "-> " + h.Linkname
		}
	}
}

func TestLayerHoldsItsFiles(t *testing.T) {
	t.Parallel()
	l, _ := testLayer(t, map[string]string{"usr/bin/one": "1", "/etc/two": "2"})
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"usr/": "", "usr/bin/": "", "usr/bin/one": "1", "etc/": "", "etc/two": "2"}
	if diff := cmp.Diff(want, listing(t, bytes.NewReader(raw))); diff != "" {
		t.Error(diff)
	}
	m := newMeter(nil)
	if _, err := m.Write(raw); err != nil {
		t.Fatal(err)
	}
	if id, _ := l.DiffID(); id != m.digest() || l.RawSize != int64(len(raw)) {
		t.Errorf("diff ID %s of %d bytes, want %s of %d", id, l.RawSize, m.digest(), len(raw))
	}
}

func TestLayerIsReproducible(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a/b": "1", "a/c": "2", "d": "3"}
	one, _ := testLayer(t, files)
	two, _ := testLayer(t, files)
	if one.ZstdHash != two.ZstdHash {
		t.Error("the same files make two layers")
	}
}

func TestOpenLayerRefusesNonsense(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := openLayer(dir); err == nil {
		t.Error("an empty folder opens as a layer")
	}
	if err := os.WriteFile(filepath.Join(dir, layerFacts), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openLayer(dir); err == nil {
		t.Error("damaged facts open as a layer")
	}
}

func TestWriteLayerReportsWhatFailed(t *testing.T) {
	t.Parallel()
	content := newTree()
	missing := filepath.Join(t.TempDir(), "missing")
	if err := content.copy("usr/bin/x", 0o755, missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	if err := writeLayer(t.TempDir(), func(*tar.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
