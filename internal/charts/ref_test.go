// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCacheHome: the variable wins on every system when it means something.
func TestCacheHome(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(os.TempDir(), "cache")
	for name, test := range map[string]struct{ os, cache, home, want string }{
		"linux":              {"linux", "", "/home/ann", "/home/ann/.cache"},
		"linux, named":       {"linux", "/big/cache", "/home/ann", "/big/cache"},
		"linux, relative":    {"linux", "cache", "/home/ann", "/home/ann/.cache"},
		"macOS":              {"darwin", "", "/Users/ann", "/Users/ann/Library/Caches"},
		"macOS, named":       {"darwin", "/Volumes/big", "/Users/ann", "/Volumes/big"},
		"macOS, relative":    {"darwin", "./big", "/Users/ann", "/Users/ann/Library/Caches"},
		"no home":            {"linux", "", "", nowhere},
		"no home, but named": {"darwin", "/big/cache", "", "/big/cache"},
	} {
		got := cacheHome(test.os, func(variable string) string {
			return map[string]string{"XDG_CACHE_HOME": test.cache, "HOME": test.home}[variable]
		})
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
