// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/hack/dist/image"
	"github.com/meshfed/meshfed/hack/dist/pack"
	"github.com/meshfed/meshfed/internal/version"
)

const probeName = "meshfed-probe"

// probeBase begins the names of the image's files.
func (r *release) probeBase() string { return probeName + "_" + r.number }

// probe makes the probe's image and returns its digest, which the other programs are linked
// with. The digest depends on the probe's source, the compiler and the release number.
func (r *release) probe(ctx context.Context) (string, error) {
	const pkg, name = "./cmd/meshfed-probe", probeName
	var platforms []image.Platform
	for _, platform := range probePlatforms() {
		base := name + "_" + r.number + "_" + strings.ReplaceAll(platform, "/", "_")
		file := filepath.Join(r.work, base)
		if err := r.compile(ctx, platform, pkg, file, nil); err != nil {
			return "", err
		}
		p, err := r.describe(ctx, name, platform, pkg, file)
		if err != nil {
			return "", err
		}
		if err := r.components(base, p); err != nil {
			return "", err
		}
		files := []pack.Entry{{Name: name, Path: file, Executable: true}, {Name: "LICENSE", Path: "LICENSE"}}
		_, arch, _ := strings.Cut(platform, "/")
		platforms = append(platforms, image.Platform{Arch: arch, Files: slices.Concat(files, p.licences(thirdParty))})
	}
	index, err := image.Index(platforms, image.Options{Entrypoint: "/" + name, Labels: map[string]string{
		"org.opencontainers.image.title":    name,
		"org.opencontainers.image.version":  r.number,
		"org.opencontainers.image.source":   "https://github.com/meshfed/meshfed",
		"org.opencontainers.image.licenses": "Apache-2.0",
	}})
	if err != nil {
		return "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("assembling the probe's image: %w", err)
	}
	tagged := version.ProbeRepository + ":" + r.number
	base := r.probeBase()
	if err := r.ensure(base+".oci.tar", []string{digest.String()}, func(w io.Writer) error { return image.Archive(w, index, tagged) }); err != nil {
		return "", err
	}
	return digest.String(), r.ensure(base+".digest.txt", []string{digest.String()}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s@%s\n", tagged, digest)
		return err
	})
}
