// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	helmregistry "helm.sh/helm/v4/pkg/registry"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/test/registryhost"
	"github.com/meshfed/meshfed/topology"
)

// packed is a chart of one template.
func packed(t *testing.T, name, version string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for file, text := range map[string]string{
		"Chart.yaml":        fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version),
		"templates/it.yaml": "kind: ConfigMap\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// nobody is a keychain without logins: tests must not read those of the host.
func nobody() authn.Keychain { return authn.NewMultiKeychain() }

type login struct{ user, password string }

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: l.user, Password: l.password}), nil
}

func start(t *testing.T, o registryhost.Options) *registryhost.Host {
	t.Helper()
	h, err := registryhost.Start(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// publish puts a chart into both repositories of a host; index is the digest that the index says.
func publish(t *testing.T, h *registryhost.Host, keys authn.Keychain, name, version, index string) {
	t.Helper()
	data := packed(t, name, version)
	c, err := Client(t.Context(), h.Addr, "charts", registry.Options{Keychain: keys})
	if err == nil {
		_, err = c.Push(data, h.Addr+"/charts/"+name+":"+version, helmregistry.PushOptStrictMode(true))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(h.Charts, name+"-"+version+".tgz"), data, 0o644)
	}
	if index == "" {
		index = digest(data)
	}
	if err == nil {
		text := fmt.Sprintf("apiVersion: v1\nentries:\n  %s:\n  - {apiVersion: v2, name: %s, version: %s, digest: %s, urls: [%s-%s.tgz]}\n", name, name, version, index, name, version)
		err = os.WriteFile(filepath.Join(h.Charts, "index.yaml"), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// repositories are the two forms under which publish makes a chart available.
func repositories(h *registryhost.Host) map[string]string {
	return map[string]string{"oci": "oci://" + h.Addr + "/charts", "http": "http://" + h.Addr + "/charts/"}
}

func TestFetchKeepsWhatItFetched(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"oci", "http"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			h := start(t, registryhost.Options{})
			publish(t, h, nobody(), "metallb", "0.15.2", "")
			f := Fetcher{Dir: t.TempDir(), Keychain: nobody()}
			ref := Ref{Repository: repositories(h)[form], Name: "metallb", Version: "0.15.2"}
			path, err := f.Fetch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil || check(data, ref) != nil {
				t.Fatalf("what was fetched: %v, %v", err, check(data, ref))
			}
			// With the repository gone the cache serves, and only what it was given.
			h.Fault("/", registryhost.Fail)
			if again, err := f.Fetch(t.Context(), ref); err != nil || again != path {
				t.Errorf("from the cache: %s, %v", again, err)
			}
			if err := os.WriteFile(path, data[:len(data)-1], 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Fetch(t.Context(), ref); err == nil {
				t.Error("a chart that was changed in the cache is used")
			}
			h.Mend()
			if _, err := f.Fetch(t.Context(), ref); err != nil {
				t.Errorf("a chart that was changed in the cache is not fetched again: %v", err)
			}
		})
	}
}

func TestFetchWithALogin(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{Auth: "ann:pass-of-ann"})
	publish(t, h, login{"ann", "pass-of-ann"}, "metallb", "0.15.2", "")
	ref := Ref{Repository: "oci://" + h.Addr + "/charts", Name: "metallb", Version: "0.15.2"}
	if _, err := (Fetcher{Dir: t.TempDir(), Keychain: login{"ann", "pass-of-ann"}}).Fetch(t.Context(), ref); err != nil {
		t.Error(err)
	}
	_, err := Fetcher{Dir: t.TempDir(), Keychain: login{"ann", "pass-of-bob"}}.Fetch(t.Context(), ref)
	if err == nil || !strings.Contains(err.Error(), "it wants a login that may read this") || strings.Contains(err.Error(), "pass-of") {
		t.Errorf("got %v", err)
	}
}

// inPart has a login for one part of a registry.
type inPart struct{ part string }

func (l inPart) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if !strings.HasPrefix(target.String(), l.part) {
		return authn.Anonymous, nil
	}
	return login{"ann", "pass-of-ann"}.Resolve(target)
}

// stuck is a keychain whose helper waits for somebody who never comes.
type stuck struct{ over <-chan struct{} }

func (s stuck) Resolve(authn.Resource) (authn.Authenticator, error) {
	<-s.over
	return authn.Anonymous, nil
}

func TestLoginsOfCharts(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{Auth: "ann:pass-of-ann"})
	publish(t, h, login{"ann", "pass-of-ann"}, "metallb", "0.15.2", "")
	ref := Ref{Repository: "oci://" + h.Addr + "/charts", Name: "metallb", Version: "0.15.2"}
	if _, err := (Fetcher{Dir: t.TempDir(), Keychain: inPart{h.Addr + "/charts"}}).Fetch(t.Context(), ref); err != nil {
		t.Errorf("a login for a part: %v", err)
	}
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	_, err := Client(t.Context(), h.Addr, "charts", registry.Options{Keychain: stuck{over}, Answer: 50 * time.Millisecond})
	if err == nil || !strings.Contains(ref.explain(err).Error(), "does not answer within 50ms") {
		t.Errorf("a helper that waits: %v", err)
	}
	_, err = Fetcher{Dir: t.TempDir(), Keychain: stuck{over}, Within: 50 * time.Millisecond}.Fetch(t.Context(), ref)
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("a fetch with a helper that waits: %v", err)
	}
}

func TestFetchNamesTheFault(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, form string
		broken     func(t *testing.T, h *registryhost.Host)
		version    string
		want       string
	}{
		{"hangs", "oci", func(_ *testing.T, h *registryhost.Host) { h.Fault("/v2/", registryhost.Hang) }, "", "no answer within 1s"},
		{"hangs", "http", func(_ *testing.T, h *registryhost.Host) { h.Fault("/charts/", registryhost.Hang) }, "", "no answer within 1s"},
		{"stalls", "http", func(_ *testing.T, h *registryhost.Host) { h.Fault(".tgz", registryhost.Stall) }, "", "no answer within 1s"},
		{"breaks", "oci", func(_ *testing.T, h *registryhost.Host) { h.Fault("/v2/", registryhost.Refuse) }, "", "it breaks connections"},
		{"breaks", "http", func(_ *testing.T, h *registryhost.Host) { h.Fault("/charts/", registryhost.Refuse) }, "", "it breaks connections"},
		{"denies", "oci", func(_ *testing.T, h *registryhost.Host) { h.Fault("/v2/", registryhost.Deny) }, "", "(403)"},
		{"lacks the version", "oci", nil, "0.0.1", "it has no such chart"},
		{"lacks the version", "http", nil, "0.0.1", "it has no such chart; it has 0.15.2"},
		{"lies", "oci", func(_ *testing.T, h *registryhost.Host) { h.Fault("/blobs/", registryhost.Lie) }, "", "its content is not what its digest says"},
		{"lies", "http", func(_ *testing.T, h *registryhost.Host) { h.Fault(".tgz", registryhost.Lie) }, "", "the chart is not what its digest says"},
		{"has another chart", "http", func(t *testing.T, h *registryhost.Host) {
			other := packed(t, "other", "1.0.0")
			publish(t, h, nobody(), "metallb", "0.15.2", digest(other))
			if err := os.WriteFile(filepath.Join(h.Charts, "metallb-0.15.2.tgz"), other, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", "it is chart other 1.0.0, not metallb 0.15.2"},
	}
	for _, c := range cases {
		t.Run(c.form+" "+c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, registryhost.Options{})
			if c.version == "" {
				c.version = "0.15.2"
			}
			publish(t, h, nobody(), "metallb", "0.15.2", "")
			if c.broken != nil {
				c.broken(t, h)
			}
			f := Fetcher{Dir: t.TempDir(), Keychain: nobody(), Within: time.Minute}
			if strings.Contains(c.want, "1s") {
				f.Within = time.Second
			}
			ref := Ref{Repository: repositories(h)[c.form], Name: "metallb", Version: c.version}
			_, err := f.Fetch(t.Context(), ref)
			want := "fetching chart metallb " + c.version + " from " + ref.Repository + ": "
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s... %s", err, want, c.want)
			}
			if len(diag.Hints(err)) == 0 {
				t.Error("there is no hint")
			}
			if left, _ := filepath.Glob(filepath.Join(f.Dir, "*/*")); len(left) > 0 {
				t.Errorf("kept: %v", left)
			}
		})
	}
}

func TestFetchRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, repository := range []string{"oci://" + addr + "/charts", "http://" + addr} {
		_, err := Fetcher{Dir: t.TempDir(), Keychain: nobody()}.Fetch(t.Context(), Ref{Repository: repository, Name: "base", Version: "1"})
		if err == nil || !strings.Contains(err.Error(), "it refuses connections") {
			t.Errorf("%s: %v", repository, err)
		}
	}
	if _, err := (Fetcher{Dir: t.TempDir()}).Fetch(t.Context(), Ref{Repository: "ftp://x", Name: "base", Version: "1"}); err == nil {
		t.Error("a repository of another kind is accepted")
	}
}

func TestWhereChartsComeFrom(t *testing.T) {
	t.Parallel()
	mesh := &topology.Topology{}
	if diff := cmp.Diff(Ref{Repository: "https://metallb.github.io/metallb", Name: "metallb", Version: "0.15.2"}, MetalLB(mesh)); diff != "" {
		t.Error(diff)
	}
	if got := Istio(mesh); got != nil {
		t.Errorf("without a repository: %v", got)
	}
	mesh.Spec.Images.Mirror = "http://registry.example:5000/cache"
	mesh.Spec.Istio = topology.Istio{Version: "1.30.1", Charts: topology.Charts{Repository: "oci://registry.example:5000/istio"}}
	if diff := cmp.Diff(Ref{Repository: "oci://registry.example:5000/cache/charts", Name: "metallb", Version: "0.15.2", Plain: true}, MetalLB(mesh)); diff != "" {
		t.Error(diff)
	}
	got := Istio(mesh)
	if len(got) != 3 || got[1] != (Ref{Repository: "oci://registry.example:5000/istio", Name: "istiod", Version: "1.30.1", Plain: true}) {
		t.Errorf("got %v", got)
	}
	mesh.Spec.Istio.Charts.Repository = "oci://other.example/istio"
	if Istio(mesh)[0].Plain {
		t.Error("another registry than the mirror is spoken to without TLS")
	}
}

func TestLocalCharts(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, dir string, files map[string]string) {
		t.Helper()
		for name, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	chart := func(name, version string) string { return "name: " + name + "\nversion: " + version + "\n" }
	cases := []struct {
		name  string
		files map[string]string
		want  map[string]string
		err   string
	}{
		{"unpacked and packed", map[string]string{
			"base/Chart.yaml": chart("base", "1.31.0"), "istio-control/istio-discovery/Chart.yaml": chart("istiod", "1.31.0"),
			"gateway-1.31.0.tgz": string(packed(t, "gateway", "1.31.0")),
		}, map[string]string{"base": "base", "istiod": "istio-control/istio-discovery", "gateway": "gateway-1.31.0.tgz"}, ""},
		{"another release", map[string]string{
			"base/Chart.yaml": chart("base", "1.30.0"), "istiod/Chart.yaml": chart("istiod", "1.31.0"), "gateway/Chart.yaml": chart("gateway", "1.31.0"),
		}, nil, "chart base: it is chart base 1.30.0, not base 1.31.0"},
		{"one is missing", map[string]string{"base/Chart.yaml": chart("base", "1.31.0"), "istiod/Chart.yaml": chart("istiod", "1.31.0")}, nil, "chart gateway: it is not there"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "charts"), c.files)
			mesh := &topology.Topology{Dir: dir}
			mesh.Spec.Istio = topology.Istio{Version: "1.31.0", Charts: topology.Charts{Directory: "charts"}}
			got, err := Local(mesh)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || len(diag.Hints(err)) == 0 {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, path := range got {
				got[name], _ = filepath.Rel(filepath.Join(dir, "charts"), path)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	h := start(t, registryhost.Options{})
	for _, name := range IstioNames() {
		if err := registryhost.WriteChart(h.Charts, os.DirFS(unpacked(t, name)), name, "1.31.0"); err != nil {
			t.Fatal(err)
		}
		if err := h.PushChart(t.Context(), "istio", filepath.Join(h.Charts, name+"-1.31.0.tgz")); err != nil {
			t.Fatal(err)
		}
	}
	f := Fetcher{Dir: t.TempDir(), Keychain: nobody()}
	mesh := &topology.Topology{}
	mesh.Spec.Istio.Version = "1.31.0"
	if got, err := f.Resolve(t.Context(), mesh, nil); got != nil || err != nil {
		t.Errorf("built-in charts: %v, %v", got, err)
	}
	for _, repository := range []string{"oci://" + h.Addr + "/istio", "http://" + h.Addr + "/charts"} {
		mesh.Spec.Istio.Charts.Repository = repository
		got, err := f.Resolve(t.Context(), mesh, func(name, version string) (string, bool) { return "of the bundle", name == Base && version == "1.31.0" })
		if err != nil || len(got) != 3 || got[Base] != "of the bundle" || !strings.HasSuffix(got[Istiod], "istiod-1.31.0.tgz") {
			t.Errorf("%s: %v, %v", repository, got, err)
		}
	}
	mesh.Spec.Istio.Version = "1.30.0"
	if _, err := f.Resolve(t.Context(), mesh, nil); err == nil || !strings.Contains(err.Error(), "chart base 1.30.0") || strings.Contains(err.Error(), "istiod") {
		t.Errorf("a release that is not there: %v", err)
	}
}

// unpacked is the folder of a chart whose version a release would set.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: "+name+"\nversion: 1.0.0\nappVersion: 1.0.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
