// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/diag"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// tarOf writes an archive of files, in pairs of name and content.
func tarOf(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		must(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.String()
}

func saved(t *testing.T, names ...string) string {
	t.Helper()
	list, err := json.Marshal(names)
	must(t, err)
	return tarOf(t, digest+".json", "{}", "layer.tar", "x", "manifest.json", `[{"Config": "`+digest+`.json", "RepoTags": `+string(list)+`}]`)
}

func TestLoadFromTheEngine(t *testing.T) {
	t.Parallel()
	a, m, clusters := newStandIns(t, "west", "east")
	a.quiet = true
	m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "image inspect", Out: "{}"}, {To: "save shop:dev", Out: saved(t, "shop:dev")}}}
	load := func() (string, error) {
		sources, err := findArchives([]string{"shop:dev"})
		must(t, err)
		a.Out.(*bytes.Buffer).Reset()
		err = a.runLoad(t.Context(), m, sources)
		stdout, _ := a.printed()
		return stdout, err
	}
	stdout, err := load()
	slices.Sort(clusters.loaded)
	if err != nil || len(clusters.loaded) != 2 || !strings.HasPrefix(clusters.loaded[0], "usmesh-east ") || !strings.HasPrefix(clusters.loaded[1], "usmesh-west ") {
		t.Fatalf("%v: %q", err, clusters.loaded)
	}
	if strings.Count(stdout, "docker.io/library/shop:dev") != 2 || strings.Count(stdout, "loaded") != 2 {
		t.Errorf("%s", stdout)
	}
	// The same again is there already; another image of that name is not.
	clusters.ids["docker.io/library/shop:dev"] = "sha256:" + digest
	if stdout, err = load(); err != nil || len(clusters.loaded) != 2 || strings.Count(stdout, "was there already") != 2 {
		t.Errorf("%v, %q: %s", err, clusters.loaded, stdout)
	}
	clusters.ids["docker.io/library/shop:dev"] = "sha256:" + strings.Repeat("f", 64)
	if _, err = load(); err != nil || len(clusters.loaded) != 4 {
		t.Errorf("%v: %q", err, clusters.loaded)
	}
	a.output = "json"
	stdout, err = load()
	var object struct {
		Kind     string
		Clusters []struct {
			Cluster string
			Images  []loaded
		}
	}
	if jerr := json.Unmarshal([]byte(stdout), &object); err != nil || jerr != nil || object.Kind != "Load" || len(object.Clusters) != 2 ||
		object.Clusters[0].Cluster != "west" || !slices.Equal(object.Clusters[0].Images, []loaded{{"docker.io/library/shop:dev", "loaded"}}) {
		t.Errorf("%v, %v: %s", err, jerr, stdout)
	}
}

// TestLoadTwice: what a script names twice, as an image or as an archive, is loaded once.
func TestLoadTwice(t *testing.T) {
	t.Parallel()
	a, m, clusters := newStandIns(t, "west", "east")
	a.quiet = true
	m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "image inspect", Out: "{}"}, {To: "save shop:dev", Out: saved(t, "shop:dev")}}}
	path := filepath.Join(t.TempDir(), "web.tar")
	must(t, os.WriteFile(path, []byte(saved(t, "ghcr.io/shop/web:1")), 0o600))
	sources, err := findArchives([]string{"shop:dev", path, "shop:dev", path})
	must(t, err)
	must(t, a.runLoad(t.Context(), m, sources))
	if stdout, _ := a.printed(); len(clusters.loaded) != 4 || strings.Count(stdout, "shop:dev") != 2 || strings.Count(stdout, "web:1") != 2 {
		t.Errorf("%q\n%s", clusters.loaded, stdout)
	}
}

func TestLoadNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	a, m, clusters := newStandIns(t, "west", "east")
	a.quiet = true
	m.Engine = &clustertest.Engine{Answers: []clustertest.Answer{
		{To: "image inspect --format {{json .Labels}} there:1", Out: "{}"}, {To: "image inspect", Fails: "Error: no such image"}}}
	err := a.runLoad(t.Context(), m, []*source{{image: "there:1"}, {image: "shop:dev"}, {image: "other:2"}})
	if err == nil || !strings.Contains(err.Error(), "podman does not have the image shop:dev") || !strings.Contains(err.Error(), "other:2") ||
		strings.Contains(err.Error(), "there:1") || !strings.Contains(strings.Join(diag.Hints(err), ""), "`podman pull shop:dev`") {
		t.Errorf("%v, %q", err, diag.Hints(err))
	}
	if len(clusters.loaded) != 0 {
		t.Errorf("loaded all the same: %q", clusters.loaded)
	}
}

// TestLoadIntoSomeClusters: a cluster that is not there fails by name, the others have it.
func TestLoadIntoSomeClusters(t *testing.T) {
	t.Parallel()
	a, m, clusters := newStandIns(t, "west")
	a.quiet = true
	path := filepath.Join(t.TempDir(), "shop.tar")
	must(t, os.WriteFile(path, []byte(saved(t, "ghcr.io/shop/web:1")), 0o600))
	sources, err := findArchives([]string{path})
	must(t, err)
	err = a.runLoad(t.Context(), m, sources)
	stdout, _ := a.printed()
	if err == nil || diag.Cluster(err) != "east" || !strings.Contains(err.Error(), "the cluster does not exist") ||
		!strings.Contains(strings.Join(diag.Hints(err), ""), "`meshfed up -f "+example+"`") {
		t.Errorf("%v, %q", err, diag.Hints(err))
	}
	if len(clusters.loaded) != 1 || !strings.Contains(stdout, "ghcr.io/shop/web:1") {
		t.Errorf("%q: %s", clusters.loaded, stdout)
	}
}

func TestLoadCommandLine(t *testing.T) {
	h := newHost(t)
	dir := t.TempDir()
	odd := filepath.Join(dir, "odd.tar")
	must(t, os.WriteFile(odd, []byte(tarOf(t, "x", "y")), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "text.tar"), []byte("no archive"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "folder.tar"), 0o700))
	call(t, "load").hinted(t, wrong, "load needs an image or an archive", "meshfed load shop:dev")
	call(t, "load", filepath.Join(dir, "nosuch.tar")).refused(t, wrong, "nosuch.tar", "no such file")
	call(t, "load", odd).hinted(t, wrong, "odd.tar", "neither manifest.json nor index.json", "docker save")
	call(t, "load", filepath.Join(dir, "text.tar")).hinted(t, wrong, "text.tar")
	call(t, "load", filepath.Join(dir, "folder.tar")).refused(t, wrong, "is a folder")
	h.fails("image-inspect", "Error: no such image")
	h.call("load", "shop:dev", "-f", example).hinted(t, failed, "does not have the image shop:dev", "pull shop:dev")
	asJSON(t, failed, "load", "shop:dev", "-f", example, "--state-dir", h.state, "-o", "json")
	h.madeNothing()
}

func TestArchives(t *testing.T) {
	t.Parallel()
	manifest := `{"config": {"digest": "sha256:` + digest + `"}}`
	index := func(annotations string) string {
		return `{"manifests": [{"digest": "sha256:abc", "annotations": ` + annotations + `}]}`
	}
	for name, test := range map[string]struct {
		data string
		want []archived
	}{
		"docker":             {saved(t, "shop:dev", "quay.io/a/b:1"), []archived{{[]string{"docker.io/library/shop:dev", "quay.io/a/b:1"}, "sha256:" + digest}}},
		"docker, containerd": {tarOf(t, "manifest.json", `[{"Config": "blobs/sha256/`+digest+`", "RepoTags": ["a/b"]}]`, "index.json", "{}"), []archived{{[]string{"docker.io/a/b"}, "sha256:" + digest}}},
		"no name":            {tarOf(t, "manifest.json", `[{"Config": "`+digest+`.json", "RepoTags": null}]`), []archived{{nil, "sha256:" + digest}}},
		"oci":                {tarOf(t, "blobs/sha256/abc", manifest, "index.json", index(`{"io.containerd.image.name": "localhost/x:1"}`)), []archived{{[]string{"localhost/x:1"}, "sha256:" + digest}}},
		"oci, short":         {tarOf(t, "./index.json", index(`{"org.opencontainers.image.ref.name": "latest"}`)), []archived{{nil, ""}}},
		"oci, podman":        {tarOf(t, "index.json", index(`{"org.opencontainers.image.ref.name": "docker.io/nginx:1"}`)), []archived{{[]string{"docker.io/library/nginx:1"}, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			_, err := w.Write([]byte(test.data))
			must(t, err)
			must(t, w.Close())
			for _, data := range []string{test.data, packed.String()} {
				path := filepath.Join(t.TempDir(), "x.tar")
				must(t, os.WriteFile(path, []byte(data), 0o600))
				got, err := readArchive(path)
				must(t, err)
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(archived{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// FuzzReadArchive: archives come from anywhere.
func FuzzReadArchive(f *testing.F) {
	f.Add([]byte("x"))
	f.Add([]byte{0x1f, 0x8b, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.tar")
		must(t, os.WriteFile(path, data, 0o600))
		if found, err := readArchive(path); err == nil && len(found) == 0 {
			t.Error("neither an image nor an error")
		}
	})
}
