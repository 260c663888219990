// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// fetchWithin bounds fetching one chart: they are small.
	fetchWithin = 30 * time.Second
	// chartLimit is more than any chart has.
	chartLimit = 32 << 20
)

// Fetcher fetches charts. The zero value does it with this host's logins into DefaultDir.
type Fetcher struct {
	// Dir keeps what was fetched; empty means DefaultDir.
	Dir string
	// Keychain has the logins for registries; nil means those of docker and podman.
	Keychain authn.Keychain
	// Within bounds each chart; 0 means 30 s.
	Within time.Duration
}

// Fetch returns the path of a packed chart. One that was fetched before is taken from the
// cache, when it still is what it was; else the repository is asked, for 30 s at most. What
// comes is checked: against the repository's own digest, and for name and version.
func Fetch(ctx context.Context, ref Ref) (string, error) { return Fetcher{}.Fetch(ctx, ref) }

// Fetch is the function of that name.
func (f Fetcher) Fetch(ctx context.Context, ref Ref) (string, error) {
	path, err := f.cached(ref)
	if err == nil {
		return path, nil
	}
	within := f.Within
	if within <= 0 {
		within = fetchWithin
	}
	bounded, cancel := context.WithTimeoutCause(ctx, within, errSilent)
	defer cancel()
	data, err := f.download(bounded, ref)
	if err == nil {
		err = check(data, ref)
	}
	if err != nil {
		if errors.Is(context.Cause(bounded), errSilent) {
			err = fmt.Errorf("%w within %s", errSilent, within)
		}
		return "", ref.explain(err)
	}
	if err := keep(path, data); err != nil {
		return "", diag.Hint(fmt.Errorf("keeping chart %s: %w", ref.Name, err), "is there room on the disk of "+filepath.Dir(path)+"? XDG_CACHE_HOME moves it")
	}
	return path, nil
}

func (f Fetcher) download(ctx context.Context, ref Ref) ([]byte, error) {
	switch {
	case ref.oci():
		return f.fromRegistry(ctx, ref)
	case strings.HasPrefix(ref.Repository, "https://"), strings.HasPrefix(ref.Repository, "http://"):
		return fromIndex(ctx, ref)
	}
	return nil, fmt.Errorf("it begins with neither %s nor https://", ociScheme)
}

// cached is where a chart is kept, and an error unless it is there as it was fetched.
func (f Fetcher) cached(ref Ref) (string, error) {
	dir := f.Dir
	if dir == "" {
		dir = DefaultDir()
	}
	sum := sha256.Sum256([]byte(ref.Repository))
	path := filepath.Join(dir, hex.EncodeToString(sum[:6]), ref.Name+"-"+ref.Version+".tgz")
	data, err := os.ReadFile(path)
	if err != nil {
		return path, err
	}
	want, err := os.ReadFile(path + sumSuffix)
	if err != nil {
		return path, err
	}
	if strings.TrimSpace(string(want)) != digest(data) {
		return path, errors.New("it was changed since")
	}
	return path, nil
}

// sumSuffix is the name of a file's checksum, after the file's own.
const sumSuffix = ".sha256"

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// keep writes a chart and then its checksum, without which it does not count.
func keep(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		data []byte
	}{{path, data}, {path + sumSuffix, []byte(digest(data) + "\n")}} {
		tmp, err := os.CreateTemp(filepath.Dir(path), ".unfinished-")
		if err != nil {
			return err
		}
		_, err = tmp.Write(f.data)
		if cerr := tmp.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = os.Chmod(tmp.Name(), 0o644)
		}
		if err == nil {
			err = os.Rename(tmp.Name(), f.path)
		}
		if err != nil {
			return errors.Join(err, os.Remove(tmp.Name()))
		}
	}
	return nil
}
