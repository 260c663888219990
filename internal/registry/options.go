// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/meshfed/meshfed/internal/version"
)

const (
	// answerWithin bounds what is asked of one image: manifest and configuration.
	answerWithin = 10 * time.Second
	// quietFor is how long a transfer may stand still.
	quietFor = 60 * time.Second
	// sideBySide bounds how many images are asked for at once.
	sideBySide = 8
)

// Options say how registries are spoken to. The zero value does it as this host's engines do.
type Options struct {
	// Keychain has the logins; nil means those of docker and podman on this host.
	Keychain authn.Keychain
	// Plain are hosts, with their port, that are spoken to without TLS; loopback hosts always
	// may be.
	Plain []string
	// Platform of the images, such as linux/arm64; empty means linux on this processor.
	Platform string
	// Answer bounds what is asked of one image, and before that the search for a login; 0 means
	// 10 s.
	Answer time.Duration
	// Quiet is how long a transfer may stand still; 0 means a minute.
	Quiet time.Duration
}

// Parse reads an image's name; one without a registry is of Docker Hub.
func (o Options) Parse(image string) (name.Reference, error) {
	var opts []name.Option
	if first, _, ok := strings.Cut(image, "/"); ok && o.plain(first) {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.ParseReference(image, opts...)
	if err != nil {
		return nil, fmt.Errorf("reading the image name %q: %w", image, err)
	}
	return ref, nil
}

// Remote are the options by which package remote does what o says, until ctx ends.
func (o Options) Remote(ctx context.Context) ([]remote.Option, error) {
	platform, err := v1.ParsePlatform(o.platform())
	if err != nil {
		return nil, fmt.Errorf("reading the platform %q: %w", o.Platform, err)
	}
	return []remote.Option{
		remote.WithContext(ctx), remote.WithPlatform(*platform), remote.WithAuthFromKeychain(o.WithLogins().Keychain),
		remote.WithTransport(o.Transport()), remote.WithUserAgent("meshfed/" + version.Number),
	}, nil
}

func (o Options) platform() string {
	if o.Platform != "" {
		return o.Platform
	}
	return "linux/" + runtime.GOARCH
}

func (o Options) answer() time.Duration {
	if o.Answer > 0 {
		return o.Answer
	}
	return answerWithin
}

func (o Options) quiet() time.Duration {
	if o.Quiet > 0 {
		return o.Quiet
	}
	return quietFor
}

// IsPlain says whether a host is spoken to without TLS.
func (o Options) IsPlain(host string) bool { return o.plain(host) }

// plain says whether a host may be spoken to without TLS.
func (o Options) plain(host string) bool {
	if slices.Contains(o.Plain, host) {
		return true
	}
	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	if bare == "localhost" || strings.HasSuffix(bare, ".localhost") {
		// A container's own name; "localhost/meshfed/node" without a port is no registry.
		return bare != host
	}
	addr, err := netip.ParseAddr(strings.Trim(bare, "[]"))
	return err == nil && addr.IsLoopback()
}
