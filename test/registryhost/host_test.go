// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registryhost_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/test/registryhost"
)

func TestServesImagesWithALogin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := registryhost.Start(t.Context(), dir, registryhost.Options{Auth: "ann:secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	img, err := random.Image(1<<16, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(h.Addr + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err == nil {
		t.Error("it takes images without a login")
	}
	login := remote.WithAuth(&authn.Basic{Username: "ann", Password: "secret"})
	if err := remote.Write(ref, img, login); err != nil {
		t.Fatal(err)
	}
	if received, _, _ := h.Moved(); received < 2<<16 {
		t.Errorf("it has received %d bytes", received)
	}
	blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if len(blobs) != 3 {
		t.Errorf("on disk: %v", blobs)
	}
	if _, err := remote.Head(ref, login); err != nil {
		t.Error(err)
	}
}

func TestFaultsEndWithStop(t *testing.T) {
	t.Parallel()
	h, err := registryhost.Start(t.Context(), t.TempDir(), registryhost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) (int, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Addr+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	for kind, want := range map[registryhost.Fault]int{registryhost.Deny: 403, registryhost.Fail: 500} {
		h.Fault("/v2/", kind)
		if code, err := ask(t.Context()); err != nil || code != want {
			t.Errorf("%s: %d, %v", kind, code, err)
		}
		h.Mend()
	}
	h.Fault("/v2/", registryhost.Hang)
	bounded, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := ask(bounded); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it does not hang: %v", err)
	}
	h.Stop()
	if _, err := ask(t.Context()); err == nil {
		t.Error("it still answers")
	}
}

func TestServesCharts(t *testing.T) {
	t.Parallel()
	h, err := registryhost.Start(t.Context(), t.TempDir(), registryhost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "Chart.yaml"), []byte("apiVersion: v2\nname: x\nversion: 1.0.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := registryhost.WriteChart(h.Charts, os.DirFS(files), "base", "1.31.0"); err != nil {
		t.Fatal(err)
	}
	if err := h.PushChart(t.Context(), "istio", filepath.Join(h.Charts, "base-1.31.0.tgz")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/charts/index.yaml", "/charts/base-1.31.0.tgz", "/v2/istio/base/manifests/1.31.0"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}
