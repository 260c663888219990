// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"path"
	"path/filepath"
	"time"
)

// DefaultDir is where the bundle lies unless told otherwise: $XDG_CACHE_HOME/meshfed/bundle.
func DefaultDir() string { return filepath.Join(cacheHome(), "meshfed", "bundle") }

// DefaultCacheDir is where what is built is kept: $XDG_CACHE_HOME/meshfed/build. It can be
// removed; the next build then makes everything again.
func DefaultCacheDir() string { return filepath.Join(cacheHome(), "meshfed", "build") }

func cacheHome() string {
	if dir, err := os.UserCacheDir(); err == nil {
		return dir
	}
	return filepath.Join(os.TempDir(), "cache")
}

func lastElement(importPath string) string { return path.Base(importPath) }

// epoch is the time of every file in every layer.
func epoch() time.Time { return time.Unix(0, 0).UTC() }
