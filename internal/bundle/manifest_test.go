// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
)

const testNode = NodeRepository + ":v1-abc"

// testBundle writes a bundle with a node image, the probe and a chart of a few bytes.
func testBundle(t *testing.T) (string, Manifest) {
	t.Helper()
	dir := t.TempDir()
	l, _ := testLayer(t, map[string]string{"usr/bin/x": "program"})
	img, err := newImage(nodeConfig("abc"), l)
	if err != nil {
		t.Fatal(err)
	}
	m := Manifest{
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Key: "abc", Kubernetes: "v1", Istio: "1", NodeImage: testNode,
		Charts:        []Chart{{Name: "metallb", Version: "0", File: "charts/m.tgz"}},
		Substitutions: []string{substituteEnvoy}, Debian: []Package{{"curl", "7"}}, Settings: Settings{UpstreamEnvoy: true},
	}
	for name, folder := range map[string]string{testNode: nodeDir, ProbeRepository + ":1": imagesDir} {
		if err := addImage(filepath.Join(dir, folder), name, img); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{nodeDir, imagesDir} {
		images, err := describeImages(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		m.Images = append(m.Images, images...)
	}
	if err := writeFiles(dir, map[string][]byte{"charts/m.tgz": []byte("chart")}); err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(dir, m); err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func TestOpenReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	dir, want := testBundle(t)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.Manifest); diff != "" {
		t.Error(diff)
	}
	if got := b.ProbeImage(); got != ProbeRepository+":1" {
		t.Errorf("the probe is %q", got)
	}
	if file, err := b.Chart("metallb"); err != nil || file != filepath.Join(dir, "charts/m.tgz") {
		t.Errorf("the chart is %q, %v", file, err)
	}
	if _, err := b.Chart("other"); err == nil {
		t.Error("a chart that is not there was found")
	}
	if _, ok := b.Image("localhost/other"); ok {
		t.Error("an image that is not there was found")
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	t.Parallel()
	blob := func(t *testing.T, dir string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, nodeDir, "blobs/sha256/*"))
		if err != nil || len(found) == 0 {
			t.Fatalf("%v, %v", found, err)
		}
		return found[0]
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string) error
		want   string
	}{
		{"chart gone", func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "charts/m.tgz")) }, "chart metallb"},
		{"layout gone", func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, imagesDir)) }, "images"},
		{"blob gone", func(t *testing.T, dir string) error { return os.Remove(blob(t, dir)) }, "sha256"},
		{"not JSON", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte("{"), 0o644)
		}, manifestFile},
		{"unknown field", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte(`{"future": 1}`), 0o644)
		}, "future"},
		{"another image", func(_ *testing.T, dir string) error {
			data, err := os.ReadFile(filepath.Join(dir, manifestFile))
			if err != nil {
				return err
			}
			text := strings.Replace(string(data), `"digest": "sha256:`, `"digest": "sha256:0`, 1)
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte(text), 0o644)
		}, "the manifest says"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, _ := testBundle(t)
			if err := test.damage(t, dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want it to name %q", err, test.want)
			}
			if len(diag.Hints(err)) == 0 {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

func TestOpenCutShortLayer(t *testing.T) {
	t.Parallel()
	dir, _ := testBundle(t)
	found, _ := filepath.Glob(filepath.Join(dir, nodeDir, "blobs/sha256/*"))
	largest, size := "", int64(0)
	for _, f := range found {
		if info, err := os.Stat(f); err == nil && info.Size() > size {
			largest, size = f, info.Size()
		}
	}
	// Remove the link first: other folders hold the same file.
	if err := os.Remove(largest); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(largest, []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a bundle with a layer cut short opens")
	}
}

func TestOpenWithoutBundle(t *testing.T) {
	t.Parallel()
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, fs.ErrNotExist) || len(diag.Hints(err)) != 1 || !strings.Contains(diag.Hints(err)[0], "meshfed bundle build") {
		t.Errorf("got %v with hints %q", err, diag.Hints(err))
	}
}

func TestHalfMadeBundlesOfKilledBuildsGo(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "bundle")
	for _, name := range []string{"bundle", half(dir) + "1", half(dir) + "2.old", ".other" + unfinished + "3"} {
		if err := writeFiles(filepath.Join(base, name), map[string][]byte{"f": nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := clearHalves(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(base)
	if err != nil || len(left) != 2 || left[0].Name() != ".other"+unfinished+"3" || left[1].Name() != "bundle" {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestSwapReplacesOnlyBundles(t *testing.T) {
	t.Parallel()
	dir, _ := testBundle(t)
	base := t.TempDir()
	mine, next := filepath.Join(base, "mine"), filepath.Join(base, "next")
	for _, d := range []string{mine, next} {
		if err := writeFiles(d, map[string][]byte{"f": []byte(d)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ours(mine); err == nil {
		t.Error("a folder of the user's would be replaced")
	}
	for _, d := range []string{dir, filepath.Join(base, "new"), t.TempDir()} {
		if err := ours(d); err != nil {
			t.Errorf("%s is refused: %v", d, err)
		}
	}
	if err := swap(next, mine); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(mine, "f"))
	if err != nil || string(data) != next {
		t.Errorf("got %q, %v", data, err)
	}
	if left, _ := filepath.Glob(filepath.Join(base, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
