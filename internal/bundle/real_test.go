// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshfed/meshfed/test/registryhost"
)

// TestRealBundleThroughARegistry pushes the bundle of this host to a registry on disk and pulls
// it back. It moves some 1.3 GB, so it runs only when MESHFED_REAL_BUNDLE is set.
func TestRealBundleThroughARegistry(t *testing.T) {
	if os.Getenv("MESHFED_REAL_BUNDLE") == "" {
		t.Skip("MESHFED_REAL_BUNDLE is not set")
	}
	built, err := Open(DefaultDir())
	if err != nil {
		t.Skip(err)
	}
	h := startRegistry(t, registryhost.Options{})
	measure := func(doing string, do func() error) (received, sent int64) {
		t.Helper()
		r0, s0, _ := h.Moved()
		began := time.Now()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		r1, s1, _ := h.Moved()
		t.Logf("%s: %.1f MB sent to the registry, %.1f MB from it, %s", doing, float64(r1-r0)/1e6, float64(s1-s0)/1e6, time.Since(began).Round(time.Millisecond))
		return r1 - r0, s1 - s0
	}
	push := func() error {
		return built.Push(t.Context(), PushOptions{Mirror: h.Addr + "/cache", Keychain: nobody()})
	}
	measure("first push", push)
	if received, _ := measure("second push", push); received > 1<<20 {
		t.Errorf("the second push sent %d bytes", received)
	}
	o := pullOptions(t, h)
	var b *Bundle
	pull := func() error {
		var err error
		b, err = Pull(t.Context(), o)
		return err
	}
	measure("first pull", pull)
	if _, sent := measure("second pull", pull); sent > 1<<20 {
		t.Errorf("the second pull fetched %d bytes", sent)
	}
	if b.NodeImage != built.NodeImage || !b.Settings.UpstreamEnvoy || !b.Settings.BridgeCNI || b.Settings.ImagesInNode {
		t.Errorf("pulled: %s, %+v", b.NodeImage, b.Settings)
	}
	began, n := time.Now(), 0
	r, w := io.Pipe()
	go func() { w.CloseWithError(b.Archive(t.Context(), w, h.Addr+"/istio/pilot:1.31.0", b.ProbeImage())) }()
	for archive := tar.NewReader(r); ; n++ {
		if _, err := archive.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("archive of two images: %d files, %s", n, time.Since(began).Round(time.Millisecond))
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(o.Dir), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
