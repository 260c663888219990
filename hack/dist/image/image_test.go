// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/meshfed/meshfed/hack/dist/image"
	"github.com/meshfed/meshfed/hack/dist/pack"
)

func index(t *testing.T, program string) v1.ImageIndex {
	t.Helper()
	var platforms []image.Platform
	for _, arch := range []string{"amd64", "arm64"} {
		platforms = append(platforms, image.Platform{Arch: arch, Files: []pack.Entry{{Name: "probe", Data: []byte(program + arch), Executable: true}}})
	}
	i, err := image.Index(platforms, image.Options{Entrypoint: "/probe", Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func digest(t *testing.T, i v1.ImageIndex) v1.Hash {
	t.Helper()
	d, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDigest: it follows the content and nothing else.
func TestDigest(t *testing.T) {
	t.Parallel()
	if a, b := digest(t, index(t, "x")), digest(t, index(t, "x")); a != b {
		t.Errorf("%s and %s for the same content", a, b)
	}
	if a, b := digest(t, index(t, "x")), digest(t, index(t, "y")); a == b {
		t.Errorf("%s for different content", a)
	}
}

// TestArchive reads an archive back as any OCI tool does.
func TestArchive(t *testing.T) {
	t.Parallel()
	made := index(t, "x")
	var archive, again bytes.Buffer
	for _, w := range []io.Writer{&archive, &again} {
		if err := image.Archive(w, made, "example.org/probe:1.2.3"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Error("two archives of one index differ")
	}
	found, err := layout.ImageIndexFromPath(unpack(t, &archive))
	if err != nil {
		t.Fatal(err)
	}
	top, err := found.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(top.Manifests) != 1 || top.Manifests[0].Digest != digest(t, made) ||
		top.Manifests[0].Annotations["io.containerd.image.name"] != "example.org/probe:1.2.3" ||
		top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Fatalf("%+v", top.Manifests)
	}
	inner, err := found.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		if p := platforms.Manifests[i].Platform; p.Architecture != arch || p.OS != "linux" {
			t.Errorf("platform %+v, want %s", p, arch)
		}
		img, err := inner.Image(platforms.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != arch || config.Config.Entrypoint[0] != "/probe" || !strings.HasPrefix(config.Config.User, "65532") {
			t.Errorf("%+v", config)
		}
		files := tar.NewReader(mutate.Extract(img))
		h, err := files.Next()
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(files); err != nil || string(content) != "x"+arch || h.Name != "probe" || h.Mode != 0o755 {
			t.Errorf("%s %o %q, %v", h.Name, h.Mode, content, err)
		}
	}
}

func unpack(t *testing.T, archive io.Reader) string {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(file, 0o750)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(file, data, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
