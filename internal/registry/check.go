// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
)

// Labels in the configuration of images that a bundle which was built from source has pushed.
const (
	// LabelSubstitution says in words what differs from the published software.
	LabelSubstitution = "meshfed.io/substitution"
	// LabelUpstreamEnvoy and LabelBridgeCNI are "true" or absent; see Settings.
	LabelUpstreamEnvoy = "meshfed.io/upstream-envoy"
	LabelBridgeCNI     = "meshfed.io/bridge-cni"
)

// BuiltNode is the path and tag of the node image that such a bundle pushes.
const BuiltNode = "kindest/node:v1.36.3"

// Settings are what the images at hand mean to Istio and kind.
type Settings struct {
	// UpstreamEnvoy: the proxy lacks Istio's own filters, which Istio must not configure.
	UpstreamEnvoy bool `json:"upstreamEnvoy"`
	// BridgeCNI: the node image has the bridge plug-in and no kindnet; kind must install no
	// network, and who makes the cluster configures the bridge.
	BridgeCNI bool `json:"bridgeCNI"`
	// ImagesInNode: the node image carries all other images; without it they have to be
	// imported into nodes, or pulled by them.
	ImagesInNode bool `json:"imagesInNode"`
}

// Described is what images say of themselves.
type Described struct {
	// Settings of all images together.
	Settings Settings
	// Substitutions say in words where the content differs from what upstream publishes.
	Substitutions []string
	// Digests are those of the manifests that are served now, by the name asked for.
	Digests map[string]string
}

// Check asks the registries for the manifest and the configuration of every image, side by
// side, each for 10 s at most after as long for a login, and fetches no content. It returns one error that names every
// registry and what is wrong with it, the images of one cause together.
func Check(ctx context.Context, refs []string, o Options) (Described, error) {
	found, err := Find(ctx, refs, o)
	if err != nil {
		return Described{}, err
	}
	described := Described{Digests: map[string]string{}}
	for _, ref := range refs {
		described.Digests[ref] = found[ref].Served.String()
		described.add(found[ref].Labels)
	}
	return described, nil
}

func (d *Described) add(labels map[string]string) {
	d.Settings.UpstreamEnvoy = d.Settings.UpstreamEnvoy || labels[LabelUpstreamEnvoy] == "true"
	d.Settings.BridgeCNI = d.Settings.BridgeCNI || labels[LabelBridgeCNI] == "true"
	if text := labels[LabelSubstitution]; text != "" && !slices.Contains(d.Substitutions, text) {
		d.Substitutions = append(d.Substitutions, text)
	}
}

// Describe gathers what the configurations of images say.
func Describe(labels ...map[string]string) Described {
	var d Described
	for _, each := range labels {
		d.add(each)
	}
	return d
}

// Found is an image in a registry.
type Found struct {
	// Served is the digest of what the registry has under the name: an index, or the image.
	Served v1.Hash
	// Image is the one of the wanted platform. Its layers are fetched when they are read, with
	// the context of Find.
	Image v1.Image
	// Labels of its configuration.
	Labels map[string]string
}

// Find is Check for those who want the images. Their content is fetched until ctx ends.
func Find(ctx context.Context, refs []string, o Options) (map[string]Found, error) {
	o = o.WithLogins()
	var mu sync.Mutex
	found, failed := map[string]Found{}, map[string]error{}
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for _, ref := range slices.Compact(slices.Sorted(slices.Values(refs))) {
		group.Go(func() error {
			image, err := find(ctx, ref, o)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[ref] = err
			} else {
				found[ref] = image
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil && len(failed) > 0 {
		return nil, fmt.Errorf("asking registries for images: %w", err)
	}
	return found, o.explainAll(failed)
}

// find asks for one image. Only asking is bounded: what is found is read until ctx ends.
func find(ctx context.Context, image string, o Options) (Found, error) {
	ref, err := o.Parse(image)
	if err != nil {
		return Found{}, err
	}
	// The registry's time does not run while this host looks for a login.
	if _, err := authn.Resolve(ctx, o.Keychain, ref.Context()); err != nil {
		return Found{}, err
	}
	life, end := context.WithCancelCause(ctx)
	limit := time.AfterFunc(o.answer(), func() { end(errSilent) })
	defer limit.Stop()
	opts, err := o.Remote(life)
	if err != nil {
		return Found{}, err
	}
	found, err := ask(ref, opts)
	if err == nil && !limit.Stop() {
		err = errSilent
	}
	if err != nil {
		end(nil)
		if errors.Is(context.Cause(life), errSilent) {
			err = fmt.Errorf("%w within %s", errSilent, o.answer())
		}
		return Found{}, err
	}
	return found, nil
}

func ask(ref name.Reference, opts []remote.Option) (Found, error) {
	served, err := remote.Get(ref, opts...)
	if err != nil {
		return Found{}, err
	}
	img, err := served.Image()
	if err != nil {
		return Found{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return Found{}, err
	}
	return Found{Served: served.Digest, Image: img, Labels: config.Config.Labels}, nil
}
