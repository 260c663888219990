// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestBuildProbe reads the archive back as an engine would.
func TestBuildProbe(t *testing.T) {
	t.Parallel()
	if !CanBuildProbe() {
		t.Skip("no Go toolchain")
	}
	const want = "ghcr.io/meshfed/probe:devel"
	data, err := BuildProbe(t.Context(), want, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(want)
	if err != nil {
		t.Fatal(err)
	}
	image, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || config.OS != "linux" || len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/meshfed-probe" {
		t.Errorf("the image's configuration: %+v", config)
	}
	if len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("%d layers", len(config.RootFS.DiffIDs))
	}
}
