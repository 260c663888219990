// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/test/registryhost"
)

// nobody is a keychain without logins: tests must not read those of the host.
func nobody() authn.Keychain { return authn.NewMultiKeychain() }

func start(t *testing.T, o registryhost.Options) *registryhost.Host {
	t.Helper()
	h, err := registryhost.Start(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// push puts a small image with labels into a registry, and returns its name and digest.
func push(t *testing.T, h *registryhost.Host, path string, labels map[string]string) (name, digest string) {
	t.Helper()
	img, err := random.Image(64, 1)
	if err == nil {
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{Architecture: "amd64", OS: "linux", Config: v1.Config{Labels: labels}, RootFS: v1.RootFS{Type: "layers"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	name = h.Addr + "/" + path
	ref, err := Options{}.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	sum, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return name, sum.String()
}

func TestCheckReadsWhatImagesSay(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	proxy, digest := push(t, h, "istio/proxyv2:1", map[string]string{LabelUpstreamEnvoy: "true", LabelSubstitution: "upstream Envoy in place of Istio's proxy"})
	node, _ := push(t, h, "kindest/node:v1", map[string]string{LabelBridgeCNI: "true", LabelSubstitution: "bridge CNI in place of kindnetd"})
	pilot, _ := push(t, h, "istio/pilot:1", nil)
	got, err := Check(t.Context(), []string{proxy, node, pilot, pilot}, Options{Keychain: nobody(), Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Settings.UpstreamEnvoy || !got.Settings.BridgeCNI || got.Settings.ImagesInNode {
		t.Errorf("settings: %+v", got.Settings)
	}
	if diff := cmp.Diff([]string{"upstream Envoy in place of Istio's proxy", "bridge CNI in place of kindnetd"}, got.Substitutions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Digests[proxy] != digest {
		t.Errorf("the proxy's digest is %s, want %s", got.Digests[proxy], digest)
	}
	if _, err := Check(t.Context(), []string{h.Addr + "/istio/proxyv2@" + digest}, Options{Keychain: nobody()}); err != nil {
		t.Errorf("by digest: %v", err)
	}
}

func TestCheckNamesTheFault(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		part string
		kind registryhost.Fault
		want string
		hint string
	}{
		{"hangs", "/v2/", registryhost.Hang, "no answer within 1s", "bundle pull"},
		{"breaks connections", "/v2/", registryhost.Refuse, "it breaks connections", "bundle pull"},
		{"denies", "/manifests/", registryhost.Deny, "it wants a login that may read this, or has no such image (403)", "docker login"},
		{"fails", "/manifests/", registryhost.Fail, "it fails (500)", "ask whoever runs"},
		{"lies about a manifest", "/manifests/", registryhost.Lie, "its content is not what its digest says", "do not use it"},
		{"lies about a configuration", "/blobs/", registryhost.Lie, "its content is not what its digest says", "do not use it"},
		{"stalls", "/blobs/", registryhost.Stall, "no answer within 1s", "bundle pull"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, registryhost.Options{})
			pilot, _ := push(t, h, "istio/pilot:1", nil)
			proxy, _ := push(t, h, "istio/proxyv2:1", nil)
			h.Fault(c.part, c.kind)
			o := Options{Keychain: nobody(), Answer: time.Minute}
			if strings.Contains(c.want, "within 1s") {
				o.Answer = time.Second
			}
			_, err := Check(t.Context(), []string{pilot, proxy}, o)
			want := "asking registry " + h.Addr + " for istio/pilot:1 and istio/proxyv2:1: " + c.want
			if err == nil || err.Error() != want {
				t.Fatalf("got  %v\nwant %s", err, want)
			}
			if hints := strings.Join(diag.Hints(err), "\n"); !strings.Contains(hints, c.hint) || len(diag.Hints(err)) != 1 {
				t.Errorf("hints: %q", hints)
			}
		})
	}
}

func TestCheckOneErrorForAllCauses(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	there, _ := push(t, h, "a/there:1", nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Check(t.Context(), []string{there, h.Addr + "/a/missing:1", closed + "/a/x:1", closed + "/a/y:1", closed + "/a/z:1"},
		Options{Keychain: nobody(), Answer: time.Minute})
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		"asking registry " + h.Addr + " for a/missing:1: it has no such image (404)",
		"asking registry " + closed + " for a/x:1 and 2 more images: it refuses connections",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 1 {
		t.Errorf("%d lines: %v", n+1, err)
	}
}

func TestCheckMissingPlatform(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	ref, err := Options{}.Parse(h.Addr + "/a/b:1")
	if err == nil {
		err = remote.WriteIndex(ref, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), []string{ref.String()}, Options{Keychain: nobody(), Platform: "linux/arm64"}); err != nil {
		t.Error(err)
	}
	_, err = Check(t.Context(), []string{ref.String()}, Options{Keychain: nobody(), Platform: "linux/amd64"})
	if err == nil || !strings.Contains(err.Error(), "not for linux/amd64") {
		t.Errorf("got %v", err)
	}
}

func TestCheckAsksWithTheLogin(t *testing.T) {
	t.Parallel()
	const password = "s3cret-of-the-registry"
	h := start(t, registryhost.Options{Auth: "ann:" + password})
	o := Options{Keychain: fixed{h.Addr, "ann", password}}
	opts, err := o.Remote(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ref, err := o.Parse(h.Addr + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, empty.Image, opts...); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), []string{ref.String()}, o); err != nil {
		t.Error(err)
	}
	for name, keys := range map[string]authn.Keychain{"none": nobody(), "wrong": fixed{h.Addr, "ann", password + "x"}} {
		_, err := Check(t.Context(), []string{ref.String()}, Options{Keychain: keys})
		if err == nil || !strings.Contains(err.Error(), "it wants a login that may read this") {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && strings.Contains(err.Error()+strings.Join(diag.Hints(err), ""), password) {
			t.Errorf("%s: the password is in the error", name)
		}
		if hints := strings.Join(diag.Hints(err), ""); !strings.Contains(hints, "spec.images.pullSecret") {
			t.Errorf("%s: hints %q", name, hints)
		}
	}
}

// fixed has one login.
type fixed struct{ host, user, password string }

func (f fixed) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if target.RegistryStr() != f.host {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: f.user, Password: f.password}), nil
}

func TestCheckTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	pair := server.TLS.Certificates
	h := start(t, registryhost.Options{TLS: &tls.Config{Certificates: pair, MinVersion: tls.VersionTLS12}})
	_, err := Check(t.Context(), []string{h.Addr + "/a/b:1"}, Options{Keychain: nobody(), Answer: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "its certificate is not trusted here: ") {
		t.Errorf("got %v", err)
	}
}

func TestPlainOnlyWhereAskedFor(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "localhost:5000": true, "[::1]:5000": true, "127.0.0.1": true, "registry.localhost:1": true,
		"localhost": false, "192.168.1.1:5000": false, "10.0.0.1": false, "registry.example": false, "named.example:80": true,
	} {
		if got := (Options{Plain: []string{"named.example:80"}}).plain(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://192.168.1.1:5000/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := Options{}.Transport().RoundTrip(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, errPlain) {
		t.Errorf("got %v", err)
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	h.Fault("/v2/", registryhost.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := Check(ctx, []string{h.Addr + "/a/b:1"}, Options{Keychain: nobody(), Answer: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A transfer that stands still ends, however long transfers may take.
func TestTransferThatStandsStill(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	image, _ := push(t, h, "a/b:1", nil)
	o := Options{Keychain: nobody(), Quiet: 200 * time.Millisecond}
	found, err := Find(t.Context(), []string{image}, o)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := found[image].Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	h.Fault("/blobs/", registryhost.Stall)
	r, err := layers[0].Compressed()
	if err == nil {
		_, err = r.Read(make([]byte, 1))
		for err == nil {
			_, err = r.Read(make([]byte, 1<<20))
		}
	}
	if err = o.Explain(image, err); err == nil || !strings.Contains(err.Error(), "the transfer stands still") {
		t.Errorf("got %v", err)
	}
}

func TestLogin(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker")) // an empty one is remembered for the whole process
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for file, text := range map[string]string{
		".docker/config.json":          `{"auths": {"one.example": {"auth": "` + encoded("ann:one") + `"}, "https://index.docker.io/v1/": {"auth": "` + encoded("ann:hub") + `"}}}`,
		"run/containers/auth.json":     `{"auths": {"two.example:5000": {"auth": "` + encoded("bob:two:with:colons") + `"}, "one.example": {"auth": "` + encoded("bob:other") + `"}}}`,
		".config/containers/auth.json": `{"auths": {"three.example/team": {"auth": "` + encoded("eve:three") + `"}}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for host, want := range map[string]string{
		"one.example":      `{"auths":{"one.example":{"username":"ann","password":"one","auth":"` + encoded("ann:one") + `"}}}`,
		"two.example:5000": `{"auths":{"two.example:5000":{"username":"bob","password":"two:with:colons","auth":"` + encoded("bob:two:with:colons") + `"}}}`,
		"docker.io":        `{"auths":{"https://index.docker.io/v1/":{"username":"ann","password":"hub","auth":"` + encoded("ann:hub") + `"}}}`,
	} {
		got, err := Login(t.Context(), host, "")
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", host, got, err)
		}
	}
	if _, err := Login(t.Context(), "four.example", ""); !errors.Is(err, ErrNoLogin) || len(diag.Hints(err)) == 0 {
		t.Errorf("got %v", err)
	}
	ref, err := Options{}.Parse("three.example/team/image:1")
	if err != nil {
		t.Fatal(err)
	}
	found, err := hostLogins(answerWithin).Resolve(ref.Context())
	if err != nil {
		t.Fatal(err)
	}
	if auth, err := found.Authorization(); err != nil || auth.Username != "eve" {
		t.Errorf("a login for a part of a registry is not found: %v", err)
	}
}

func TestParseRefusesWhatIsNoImage(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "UPPER/case:1", "a b:1"} {
		if _, err := (Options{}).Parse(bad); err == nil {
			t.Errorf("%q is taken for an image", bad)
		}
	}
}
