// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"path"
	"path/filepath"
	"time"

	"github.com/meshfed/meshfed/internal/charts"
)

// DefaultDir is where the bundle lies unless told otherwise: $XDG_CACHE_HOME/meshfed/bundle.
func DefaultDir() string { return filepath.Join(charts.CacheHome(), "meshfed", "bundle") }

// DefaultCacheDir is where what is built is kept: $XDG_CACHE_HOME/meshfed/build. It can be
// removed; the next build then makes everything again.
func DefaultCacheDir() string { return filepath.Join(charts.CacheHome(), "meshfed", "build") }

func lastElement(importPath string) string { return path.Base(importPath) }

// epoch is the time of every file in every layer.
func epoch() time.Time { return time.Unix(0, 0).UTC() }
