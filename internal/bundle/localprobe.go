// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/run"
)

// CanBuildProbe says whether this host has the Go toolchain that BuildProbe needs.
func CanBuildProbe() bool {
	_, err := exec.LookPath("go")
	return err == nil
}

// BuildProbe compiles the probe from the source that is inside this program, for Linux nodes of
// the architecture (a GOARCH), and returns an archive that holds its image under the name. It
// needs a Go toolchain and no network, and blocks for some seconds the first time. It is how a
// program that was not released, whose probe nobody has published, proves a mesh all the same.
func BuildProbe(ctx context.Context, name, arch string) ([]byte, error) {
	archive, err := buildProbe(ctx, name, arch)
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("building the probe's image %s: %w", name, err),
			"name a probe image that the nodes can pull in spec.verify.probe.image")
	}
	return archive, nil
}

func buildProbe(ctx context.Context, name, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "meshfed-probe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files, err := probe.Module("1.26")
	if err != nil {
		return nil, err
	}
	if err := writeFiles(dir, files); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "meshfed-probe")
	_, err = run.Command{
		Name: "go", Args: []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, "./" + probe.MainPackage},
		Dir: dir, Env: []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOPROXY=off"},
	}.Output(ctx)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	image, err := oneProgram("/meshfed-probe", data, arch)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	err = writeArchive(ctx, &archive, named{name, image})
	return archive.Bytes(), err
}

// oneProgram is an image that holds one program, its entrypoint, and nothing else.
func oneProgram(path string, program []byte, arch string) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	header := tar.Header{Name: path[1:], Mode: 0o755, Size: int64(len(program)), ModTime: epoch()}
	if err := w.WriteHeader(&header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := newImage(v1.Config{Entrypoint: []string{path}}, l)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture = arch
	return mutate.ConfigFile(image, config)
}
