// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/meshfed/meshfed/hack/dist/pack"
)

// nobody is the user of the image where the cluster names none.
const nobody = "65532:65532"

// Platform is the content of the image for one architecture of Linux.
type Platform struct {
	// Arch as Go calls it.
	Arch string
	// Files of the only layer.
	Files []pack.Entry
}

// Options are what all platforms share.
type Options struct {
	// Entrypoint is the path of the program.
	Entrypoint string
	// Labels of each image.
	Labels map[string]string
}

// epoch is the time of every file and image: their digests depend on content alone.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// Index puts images for all platforms together, in the order given.
func Index(platforms []Platform, o Options) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		img, err := p.image(o)
		if err != nil {
			return nil, fmt.Errorf("assembling the image for %s: %w", p.Arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.Arch}}})
	}
	return index, nil
}

func (p Platform) image(o Options) (v1.Image, error) {
	var content bytes.Buffer
	if err := pack.Tar(&content, p.Files, epoch()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: p.Arch, OS: "linux", Created: v1.Time{Time: epoch()}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{o.Entrypoint}, Labels: o.Labels, User: nobody, WorkingDir: "/"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch()}, CreatedBy: "hack/dist"}})
}
