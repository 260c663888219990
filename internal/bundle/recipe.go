// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"embed"
	"fmt"
)

// recipes are the sources of what shapes layers. They are inputs like any other: a change of how
// something is made makes it again.
//
//go:embed layer.go tree.go rootfs.go image.go store.go node.go chart.go patch.go asis.go
var recipes embed.FS

// recipeKey is the hash of some of them.
func recipeKey(files ...string) (string, error) {
	var parts []string
	for _, f := range files {
		data, err := recipes.ReadFile(f)
		if err != nil {
			return "", fmt.Errorf("reading embedded recipe: %w", err)
		}
		parts = append(parts, f, string(data))
	}
	return hash(parts...), nil
}
