// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import "fmt"

// Architecture is the processor that the bundle's images are for, as Go calls it (GOARCH).
func (b *Bundle) Architecture() (string, error) {
	image, err := b.open(b.NodeImage)
	if err != nil {
		return "", err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return "", fmt.Errorf("reading the node image of bundle %s: %w", b.Dir, err)
	}
	return config.Architecture, nil
}
