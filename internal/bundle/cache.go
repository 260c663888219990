// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// hash is the short key of a list of inputs; no two different lists share their text.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// artefact is one folder that the build makes. Its key covers every input, so a folder that
// exists under it is what would be made again.
type artefact struct {
	kind, key string
	item      string  // what a reader sees while it is made
	weight    float64 // expected seconds on two cores, nothing cached anywhere
	make      func(ctx context.Context, dir string) error
}

// cache holds artefacts as <dir>/<kind>/<key>.
type cache struct{ dir string }

func (c cache) path(a artefact) string { return filepath.Join(c.dir, a.kind, a.key) }

func (c cache) has(a artefact) bool {
	info, err := os.Stat(c.path(a))
	return err == nil && info.IsDir()
}

// ensure makes the artefact unless it exists. It is made under another name and renamed at the
// end, so what an interrupted build leaves is never taken for complete.
func (c cache) ensure(ctx context.Context, a artefact) error {
	if c.has(a) {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(c.dir, a.kind), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Join(c.dir, a.kind), unfinished)
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	if err := a.make(ctx, tmp); err != nil {
		return fmt.Errorf("building the bundle, %s: %w", a.item, err)
	}
	if err := os.Rename(tmp, c.path(a)); err != nil {
		return fmt.Errorf("keeping %s: %w", a.item, err)
	}
	return nil
}

// unfinished begins the name of a folder whose artefact is being made.
const unfinished = ".unfinished-"

// lock makes sure that one build at a time uses the cache. It does not wait.
func (c cache) lock() (release func(), err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache folder: %w", err)
	}
	name := filepath.Join(c.dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, diag.Hint(fmt.Errorf("another bundle build uses %s", c.dir), "wait for it to end, or stop it: what it has built is kept")
	}
	return func() { f.Close() }, nil
}

// clean removes what interrupted builds left and, below kinds, every artefact not in keep. It is
// called with the lock held.
func (c cache) clean(keep map[string]bool) error {
	var errs []error
	for _, pattern := range []string{"*/" + unfinished + "*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(c.dir, pattern))
		if err != nil {
			return fmt.Errorf("cleaning the cache: %w", err)
		}
		for _, f := range found {
			left := strings.HasPrefix(filepath.Base(f), unfinished)
			if left || (keep != nil && !keep[f]) {
				errs = append(errs, removeAll(f))
			}
		}
	}
	return errors.Join(errs...)
}

// unusedFor is how long an artefact is kept that no build has used.
const unusedFor = 14 * 24 * time.Hour

// expire marks artefacts as used now and removes those that were not for unusedFor. It is
// called with the lock held.
func (c cache) expire(used map[string]bool, now time.Time) error {
	found, err := filepath.Glob(filepath.Join(c.dir, "*/*"))
	if err != nil {
		return fmt.Errorf("cleaning the cache: %w", err)
	}
	var errs []error
	for _, f := range found {
		if used[f] {
			errs = append(errs, os.Chtimes(f, now, now))
			continue
		}
		if info, err := os.Stat(f); err == nil && now.Sub(info.ModTime()) > unusedFor {
			errs = append(errs, removeAll(f))
		}
	}
	return errors.Join(errs...)
}

// removeAll is os.RemoveAll for trees with read-only folders, such as copies of Go modules.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
