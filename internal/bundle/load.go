// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Engine is the part of a container engine that takes images.
type Engine interface {
	// Name of the program.
	Name() string
	// Run runs the engine and returns what it wrote.
	Run(ctx context.Context, args ...string) (string, error)
	// Pipe runs the engine with this input and output; either may be nil.
	Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error
}

// LoadNodeImage makes sure that the engine has the bundle's node image, and blocks until it has:
// 10 to 30 s when it must be loaded, nothing when it is there already.
func (b *Bundle) LoadNodeImage(ctx context.Context, engine Engine) error {
	there, err := b.HasNodeImage(ctx, engine)
	if err != nil || there {
		return err
	}
	img, err := b.open(b.NodeImage)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeArchive(ctx, w, named{b.NodeImage, img})
		w.CloseWithError(err)
		written <- err
	}()
	err = engine.Pipe(ctx, r, nil, "load", "--quiet")
	r.CloseWithError(errors.New("the engine takes no more"))
	if wrote := <-written; wrote != nil && err == nil {
		err = wrote
	}
	if err != nil {
		return fmt.Errorf("loading the node image into %s: %w", engine.Name(), err)
	}
	return nil
}

// HasNodeImage reports whether the engine has the bundle's node image: of this name, and made from
// the same inputs or, where it does not say from which, with the same layers.
func (b *Bundle) HasNodeImage(ctx context.Context, engine Engine) (bool, error) {
	img, err := b.open(b.NodeImage)
	if err != nil {
		return false, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return false, fmt.Errorf("reading the node image: %w", err)
	}
	key := config.Config.Labels[keyLabel]
	if key == "" {
		return hasLayers(ctx, engine, b.NodeImage, config.RootFS.DiffIDs)
	}
	found, err := nodeImages(ctx, engine)
	return err == nil && found[b.NodeImage] == key, err
}

// hasLayers compares layers: an engine may call the image itself by the digest of its
// configuration or of its manifest.
func hasLayers(ctx context.Context, engine Engine, name string, want []v1.Hash) (bool, error) {
	out, err := engine.Run(ctx, "image", "inspect", "--format", "{{json .RootFS.Layers}}", name)
	if err != nil {
		// It is not there. An engine that does not answer at all is found out by loading.
		return false, ctx.Err()
	}
	var have []v1.Hash
	if err := json.Unmarshal([]byte(out), &have); err != nil {
		return false, fmt.Errorf("looking at image %s: %w", name, err)
	}
	return slices.Equal(have, want), nil
}

// PruneNodeImages removes node images of other bundles from the engine, but none that a container
// uses. It returns the names of those that went.
func (b *Bundle) PruneNodeImages(ctx context.Context, engine Engine) ([]string, error) {
	images, err := nodeImages(ctx, engine)
	if err != nil {
		return nil, err
	}
	var gone []string
	var errs []error
	for _, name := range sortedKeys(images) {
		if name == b.NodeImage {
			continue
		}
		users, err := engine.Run(ctx, "ps", "--all", "--quiet", "--filter", "ancestor="+name)
		if err == nil && strings.TrimSpace(users) != "" {
			continue
		}
		if err == nil {
			_, err = engine.Run(ctx, "image", "rm", name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing node image %s: %w", name, err))
			continue
		}
		gone = append(gone, name)
	}
	return gone, errors.Join(errs...)
}

// nodeImages lists the engine's images of our node repository with the keys they carry.
func nodeImages(ctx context.Context, engine Engine) (map[string]string, error) {
	out, err := engine.Run(ctx, "image", "ls", "--filter", "label="+keyLabel, "--format", "{{.Repository}}:{{.Tag}}")
	if err != nil {
		return nil, fmt.Errorf("listing the images of %s: %w", engine.Name(), err)
	}
	images := map[string]string{}
	for _, name := range strings.Fields(out) {
		if !strings.HasPrefix(name, NodeRepository+":") {
			continue
		}
		key, err := engine.Run(ctx, "image", "inspect", "--format", `{{index .Config.Labels "`+keyLabel+`"}}`, name)
		if err != nil {
			return nil, fmt.Errorf("looking at image %s: %w", name, err)
		}
		images[name] = strings.TrimSpace(key)
	}
	return images, nil
}
