// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/meshfed/meshfed/internal/charts"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// PullOptions say what to pull and where to.
type PullOptions struct {
	// Dir is the bundle; empty means DefaultDir. What it held is replaced at the end.
	Dir string
	// Topology names the images and charts: their releases, and the mirror that has them.
	Topology *topology.Topology
	// NodeOnly pulls the node images and nothing else.
	NodeOnly bool
	// WithoutProbe leaves out the probe's image, which nobody publishes for a program that was
	// not released; see BuildProbe.
	WithoutProbe bool
	// Platform is that of the nodes, such as linux/arm64; empty means linux on this processor.
	Platform string
	// Keychain has the logins; nil means those of docker and podman on this host.
	Keychain authn.Keychain
	// Plain are more hosts, besides the mirror, that are spoken to without TLS.
	Plain []string
	// ChartDir keeps charts that were fetched; empty means the default.
	ChartDir string
	// Observe is told of each change of state, from several goroutines one after another.
	Observe func(Progress)
}

// pulled begins the name of the folder beside a bundle in which content gathers.
func pulled(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".pulled")
}

// Pull makes a bundle of what is published, or what a mirror has, and blocks until it is
// complete. All content is compared with its digest. A pull that was interrupted goes on with
// what has not come yet, and one that finds everything in place asks for manifests only. The
// bundle that lies in Dir stays until the new one is whole.
func Pull(ctx context.Context, o PullOptions) (*Bundle, error) {
	if o.Dir == "" {
		o.Dir = DefaultDir()
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("finding the bundle's folder: %w", err)
	}
	if err := ours(o.Dir); err != nil {
		return nil, err
	}
	if err := o.checkProbe(); err != nil {
		return nil, err
	}
	p := &puller{o: o, options: o.registry(), blobs: o.blobs()}
	if err := p.find(ctx); err != nil {
		return nil, fmt.Errorf("pulling an image bundle: %w", err)
	}
	if old, err := Open(o.Dir); err == nil && old.Key == p.key() {
		p.skip()
		return old, nil
	}
	release, err := lockFolder(p.blobs.dir)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := p.fetch(ctx); err != nil {
		return nil, fmt.Errorf("pulling an image bundle: %w", err)
	}
	b, err := put(o.Dir, p.gather)
	if err != nil {
		return nil, err
	}
	// It is in the bundle now; what can not be removed is in nobody's way.
	_ = removeAll(p.blobs.dir)
	return b, nil
}

func (o PullOptions) registry() registry.Options {
	options := registry.Options{Keychain: o.Keychain, Plain: o.Plain, Platform: o.Platform}
	if host, _, plain := o.Topology.MirrorHost(); plain {
		options.Plain = append([]string{host}, o.Plain...)
	}
	return options.WithLogins()
}

// checkProbe refuses a probe of the file's own that is named by its digest: nodes that are
// brought images have them by their tags, and look for a digest in its registry.
func (o PullOptions) checkProbe() error {
	image := o.Topology.Spec.Verify.Probe.Image
	if bare, _, ok := strings.Cut(image, "@"); ok && !o.NodeOnly {
		if tag(bare) == "" {
			bare += ":TAG"
		}
		return diag.Hint(fmt.Errorf("pulling an image bundle: spec.verify.probe.image names %s by its digest, by which pods do not find what a bundle brings into nodes", image),
			"write it with a tag and without the digest: "+bare)
	}
	return nil
}

func (o PullOptions) blobs() blobs {
	return blobs{dir: pulled(o.Dir), others: []string{
		filepath.Join(o.Dir, nodeDir, "blobs"), filepath.Join(o.Dir, imagesDir, "blobs"),
	}}
}

func (o PullOptions) charts() []charts.Ref {
	if o.NodeOnly {
		return nil
	}
	refs := charts.Istio(o.Topology)
	for i := range o.Topology.Spec.Clusters {
		if o.Topology.Spec.Clusters[i].LoadBalancer.Type == topology.LoadBalancerMetalLB {
			return append([]charts.Ref{charts.MetalLB(o.Topology)}, refs...)
		}
	}
	return refs
}

// lockFolder makes a folder and makes sure that one pull at a time uses it. It does not wait.
func lockFolder(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for what is pulled: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, diag.Hint(errors.Join(fmt.Errorf("another pull of this bundle uses %s", dir), f.Close()), "wait for it to end, or stop it: what has come is kept")
	}
	return func() { _ = f.Close() }, nil
}
