// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// logins is a keychain that can not hang: Docker's credential helpers are programs, which may
// wait for somebody to type a password, and whoever asks for a login can not stop them. Each is
// asked once, however many images a registry has.
type logins struct {
	keys   authn.Keychain
	within time.Duration
	// host says that keys knows hosts only, and files the logins for a part of a registry.
	host  bool
	files []string

	mu    sync.Mutex
	asked map[string]*answer
}

// hostLogins are those that docker login and podman login have kept on this host, credential helpers
// of docker included. A login for a part of a registry comes before one for all of it.
func hostLogins(within time.Duration) *logins {
	kept := podmanFiles(os.Getenv)
	return &logins{
		keys: authn.NewMultiKeychain(authn.DefaultKeychain, podman{files: kept}), within: within,
		host: true, files: append([]string{dockerFile(os.Getenv)}, kept...), asked: map[string]*answer{},
	}
}

// WithLogins is o with a keychain that is asked once for each registry, and not for ever. Who
// speaks to a registry more than once calls it first.
func (o Options) WithLogins() Options {
	switch o.Keychain.(type) {
	case *logins:
	case nil:
		o.Keychain = hostLogins(o.answer())
	default:
		o.Keychain = &logins{keys: o.Keychain, within: o.answer(), asked: map[string]*answer{}}
	}
	return o
}

// Credentials is the login for a path of a registry; zero when there is none. It blocks for 10 s
// at most, and until ctx ends.
func (o Options) Credentials(ctx context.Context, host, path string) (authn.AuthConfig, error) {
	target, err := newPlace(host, path)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	found, err := authn.Resolve(ctx, o.WithLogins().Keychain, target)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	auth, err := authn.Authorization(ctx, found)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	return *auth, nil
}

// place is a path of a registry, of which logins may be kept.
type place struct {
	name.Registry
	path string
}

func newPlace(host, path string) (place, error) {
	reg, err := name.NewRegistry(host)
	if err != nil {
		return place{}, fmt.Errorf("reading the name of registry %s: %w", host, err)
	}
	return place{reg, strings.Trim(path, "/")}, nil
}

// String implements authn.Resource.
func (p place) String() string { return strings.TrimSuffix(p.RegistryStr()+"/"+p.path, "/") }

// Resolve implements authn.Keychain.
func (k *logins) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k *logins) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	_, found, err := k.find(ctx, target)
	return found, err
}

// find also returns the name under which the login is kept, where that is a part of a registry.
func (k *logins) find(ctx context.Context, target authn.Resource) (part string, found authn.Authenticator, err error) {
	if k.host {
		if part, found, err := specific(k.files, target); err != nil || found != authn.Anonymous {
			return part, found, err
		}
		if target, err = newPlace(target.RegistryStr(), ""); err != nil {
			return "", nil, err
		}
	}
	a := k.ask(target)
	select {
	case <-a.done:
		return "", a.found, a.err
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
}

// answer is a login once done is closed.
type answer struct {
	once  sync.Once
	done  chan struct{}
	found authn.Authenticator
	err   error
}

func (a *answer) give(found authn.Authenticator, err error) {
	a.once.Do(func() {
		a.found, a.err = found, err
		close(a.done)
	})
}

// ask begins to ask for a login unless that was done before.
func (k *logins) ask(target authn.Resource) *answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.asked[target.String()]; a != nil {
		return a
	}
	a := &answer{done: make(chan struct{})}
	k.asked[target.String()] = a
	limit := time.AfterFunc(k.within, func() { a.give(nil, helperFault(target.RegistryStr(), "does not answer within "+k.within.String())) })
	go func() {
		defer limit.Stop()
		found, err := k.keys.Resolve(target)
		var auth *authn.AuthConfig
		if err == nil {
			auth, err = found.Authorization()
		}
		switch {
		case err != nil:
			a.give(nil, fault(target.RegistryStr(), err))
		case *auth == authn.AuthConfig{}:
			a.give(authn.Anonymous, nil)
		default:
			a.give(authn.FromConfig(*auth), nil)
		}
	}()
	return a
}
