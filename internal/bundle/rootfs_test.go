// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testRoot writes a root file system as mmdebstrap names things: ./ before each.
func testRoot(t *testing.T) string {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	status := "Package: curl\nStatus: install ok installed\nVersion: 7.88.1-10\n\nPackage: jq\nVersion: 1.6-2\n"
	for _, e := range []struct {
		header tar.Header
		text   string
	}{
		{tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, ""},
		{tar.Header{Typeflag: tar.TypeDir, Name: "./dev/", Mode: 0o755}, ""},
		{tar.Header{Typeflag: tar.TypeChar, Name: "./dev/null", Mode: 0o666, Devmajor: 1, Devminor: 3}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/su", Mode: 0o4755}, "su"},
		{tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/su2", Linkname: "./usr/bin/su"}, ""},
		{tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin"}, ""},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/perl/5.36.0/deep/x.pm", Mode: 0o644}, "perl"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./var/log/apt/history.log", Mode: 0o644}, "log"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./var/lib/dpkg/status", Mode: 0o644}, status},
	} {
		e.header.Size = int64(len(e.text))
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), rootArchive)
	if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRootLosesWhatImagesDoNotNeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writeLayer(dir, writeRoot(testRoot(t), dropped())); err != nil {
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
	found := listing(t, r)
	delete(found, "var/lib/dpkg/status")
	want := map[string]string{"dev/": "", "usr/bin/su": "su", "usr/bin/su2": "-> usr/bin/su", "bin": "-> usr/bin"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

func TestInstalledPackages(t *testing.T) {
	t.Parallel()
	found, err := installed(testRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Package{{"curl", "7.88.1-10"}, {"jq", "1.6-2"}}, found); diff != "" {
		t.Error(diff)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"var/log": false, "var/log/apt": true, "var/log/apt/x": true, "usr/bin/perl5.36": true, "usr/bin/pgrep": false, "etc/hostname": true,
	} {
		if got := matches(dropped(), name); got != want {
			t.Errorf("%s dropped: %v, want %v", name, got, want)
		}
	}
}
