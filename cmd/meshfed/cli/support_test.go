// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestBundleNamesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "x.tar.gz"), 0o750))
	for name, says := range map[string][]string{
		"x.zip":                               {"--bundle x.zip: it will be a gzipped tar archive", ".tar.gz"},
		filepath.Join(dir, "x.tar.gz"):        {"it is a folder", "name a file"},
		filepath.Join(dir, "no", "x.tar.gz"):  {"there is no folder", "mkdir -p"},
		filepath.Join(dir, "no", "other.tgz"): {"there is no folder", "mkdir -p"},
	} {
		call(t, "diagnose", "-f", example, "--bundle", name).hinted(t, wrong, says...)
	}
}

// TestABundleOfAMeshThatNeverCameUp: the log of the run that failed is what is asked for then.
func TestABundleOfAMeshThatNeverCameUp(t *testing.T) {
	h := newHost(t)
	h.bundle()
	_, token, seen := planted(t)
	topology := file(t, portless)
	h.fails("network-create", "Error: no more networks, said "+token)
	h.call("up", "-f", topology)
	name := filepath.Join(h.dir, "mesh.tar.gz")
	without := h.call("diagnose", "-f", topology)
	r := h.call("diagnose", "-f", topology, "--bundle", name)
	if without.code == 0 || r.code != without.code || !strings.Contains(r.err, name+" holds") {
		t.Errorf("exit code %d, without a bundle %d: %s%s", r.code, without.code, r.stdout, r.err)
	}
	f, err := os.Open(name)
	must(t, err)
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	must(t, err)
	logs := 0
	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		data, err := io.ReadAll(in)
		must(t, err)
		lookFor(t, header.Name, string(data), seen)
		if ok, _ := path.Match("*/runs/*-up/events.jsonl", header.Name); ok && strings.Contains(string(data), "no more networks") {
			logs++
		}
	}
	if logs != 1 {
		t.Errorf("%d logs tell why up failed", logs)
	}
}
