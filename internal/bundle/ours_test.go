// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/test/registryhost"
)

// TestFoldersOfOthersAreRefused: a pull or a build replaces the whole folder.
func TestFoldersOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extra map[string]string
		want  string
	}{
		"a bundle":                   {nil, ""},
		"a half-written file":        {map[string]string{unfinished + "1": ""}, ""},
		"a file beside the bundle":   {map[string]string{"thesis.tex": "text"}, "thesis.tex"},
		"a folder beside the bundle": {map[string]string{"mail/1": "text"}, "mail"},
		"a hidden file":              {map[string]string{".env": "text"}, ".env"},
		"somebody else's manifest":   {map[string]string{manifestFile: `{"name": "app", "bundle": []}`}, manifestFile},
		"an empty manifest":          {map[string]string{manifestFile: `{}`}, manifestFile},
		"a list":                     {map[string]string{manifestFile: `[1]`}, manifestFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := testBundle(t)
			for file, text := range c.extra {
				if err := writeFiles(dir, map[string][]byte{file: []byte(text)}); err != nil {
					t.Fatal(err)
				}
			}
			err := ours(dir)
			if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || len(diag.Hints(err)) == 0) {
				t.Fatalf("got %v, %q", err, diag.Hints(err))
			}
			if err == nil {
				return
			}
			_, err = put(dir, func(string) error { t.Error("a bundle is made"); return nil })
			if err == nil {
				t.Error("it was replaced")
			}
			for file := range c.extra {
				if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestAFileIsNoFolder: what --dir names by mistake stays.
func TestAFileIsNoFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ours(file); err == nil || len(diag.Hints(err)) == 0 {
		t.Errorf("got %v", err)
	}
}

// TestFilesThatComeWhileABundleIsMade stay, too.
func TestFilesThatComeWhileABundleIsMade(t *testing.T) {
	t.Parallel()
	dir, m := testBundle(t)
	_, err := put(dir, func(tmp string) error {
		if err := writeFiles(dir, map[string][]byte{"mine": nil}); err != nil {
			return err
		}
		return writeManifest(tmp, m)
	})
	if err == nil || !strings.Contains(err.Error(), "holds mine") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
		t.Error(err)
	}
}

func TestPullRefusesTheFolderOfOthersFirst(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	o := pullOptions(t, h)
	if err := writeFiles(o.Dir, map[string][]byte{manifestFile: []byte("{}"), "mine": nil}); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds mine") {
		t.Errorf("got %v", err)
	}
}

// TestMirrorsThatAreNone are refused before anything is sent, without the password in them.
func TestMirrorsThatAreNone(t *testing.T) {
	t.Parallel()
	b := fullBundle(t)
	const secret = "hunter2x-and-some-more-characters-than-messages-show"
	for mirror, want := range map[string]string{
		"https://mesh:" + secret + "@127.0.0.1:1/m": "holds an @", "mesh:" + secret + "@127.0.0.1:1/m": "holds an @", "http://mesh:" + secret + "@127.0.0.1:1": "holds an @",
		"127.0.0.1:1/m:latest": "has a tag", "127.0.0.1:1/M": "no image's name", "oci://127.0.0.1:1/m": "scheme", "127.0.0.1:0/m": "port", "registry/m": "path",
		"": "no registry is named", "/": "no registry is named",
	} {
		if err := CheckMirror(mirror); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "pushing an image bundle: ") || len(diag.Hints(err)) == 0 {
			t.Errorf("%s: %v", mirror, err)
		}
		told := false
		err := b.Push(t.Context(), PushOptions{Mirror: mirror, Keychain: nobody(), Observe: func(Progress) { told = true }})
		if err == nil || told || strings.Contains(err.Error()+strings.Join(diag.Hints(err), ""), "hunter2x") || strings.Contains(strings.Join(diag.Hints(err), ""), "--mirror") {
			t.Errorf("%s: %v, %q, begun: %v", mirror, err, diag.Hints(err), told)
		}
	}
	for _, good := range []string{"127.0.0.1:1/m", "registry.example.com/a/b/", "http://registry.example.com:5000", "https://registry.example.com/m"} {
		if err := CheckMirror(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// broken is a keychain whose helper fails.
type broken struct{}

func (broken) Resolve(authn.Resource) (authn.Authenticator, error) { return nil, io.ErrNoProgress }

func TestPushSaysThatTheLoginCanNotBeHad(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	err := fullBundle(t).Push(t.Context(), PushOptions{Mirror: h.Addr + "/m", Keychain: broken{}, Observe: func(Progress) { t.Error("it begins") }})
	if err == nil || !strings.Contains(err.Error(), "pushing an image bundle to "+h.Addr+": ") || len(diag.Hints(err)) == 0 {
		t.Errorf("got %v", err)
	}
}

// TestProbeByDigest: pods ask for the name in the file, and a digest is not found in nodes.
func TestProbeByDigest(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	pushTo(t, fullBundle(t), h)
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for image, want := range map[string]string{"mine.example/probe" + digest: "mine.example/probe:TAG", "mine.example/probe:7" + digest: "mine.example/probe:7"} {
		o := pullOptions(t, h)
		o.Topology.Spec.Verify.Probe.Image = image
		_, err := Pull(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "spec.verify.probe.image") || !strings.HasSuffix(strings.Join(diag.Hints(err), ""), want) {
			t.Errorf("%s: %v, %q", image, err, diag.Hints(err))
		}
		o.NodeOnly = true
		if _, err := Pull(t.Context(), o); err != nil {
			t.Errorf("node images alone: %v", err)
		}
	}
}

// TestMirrorOfABuiltBundleAsksForItsKubernetes: what a topology asks for by default is not in it.
func TestMirrorOfABuiltBundleAsksForItsKubernetes(t *testing.T) {
	t.Parallel()
	h := startRegistry(t, registryhost.Options{})
	pushTo(t, fullBundle(t), h)
	o := pullOptions(t, h)
	for i := range o.Topology.Spec.Clusters {
		o.Topology.Spec.Clusters[i].Provider.Kind.Kubernetes = ""
	}
	_, err := Pull(t.Context(), o)
	if hints := strings.Join(diag.Hints(err), ""); err == nil || !strings.Contains(hints, "provider.kind.kubernetes: "+strings.TrimPrefix(KubernetesVersion, "v")) {
		t.Errorf("got %v, %q", err, hints)
	}
}
