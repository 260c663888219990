// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/meshfed/meshfed/hack/dist/pack"
)

// Archive writes an index as an OCI archive, named by name with its tag: for skopeo, crane,
// podman load and ctr images import.
func Archive(w io.Writer, index v1.ImageIndex, name string) error {
	dir, err := os.MkdirTemp("", "meshfed-dist-image-")
	if err != nil {
		return fmt.Errorf("writing image %s: %w", name, err)
	}
	defer os.RemoveAll(dir)
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("writing image %s: %w", name, err)
	}
	tag := name[strings.LastIndex(name, ":")+1:]
	err = l.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": name,
	}))
	if err != nil {
		return fmt.Errorf("writing image %s: %w", name, err)
	}
	entries, err := pack.Folder(dir, "")
	if err != nil {
		return fmt.Errorf("writing image %s: %w", name, err)
	}
	return pack.Tar(w, entries, epoch())
}
