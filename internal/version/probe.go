// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version

import "strings"

// ProbeRepository is where the probe's image is published.
const ProbeRepository = "ghcr.io/meshfed/probe"

// ProbeImage is the image that verify sends into meshes whose images are pulled. A released
// build names it with the digest that was linked in, so nobody can put another one in its
// place; any other build knows the tag only.
func ProbeImage() string { return Get().ProbeImage }

func probeImage(number, digest string) string {
	// A tag has no +, which begins build metadata in a version.
	name := ProbeRepository + ":" + strings.ReplaceAll(number, "+", "_")
	if digest != "" {
		name += "@" + digest
	}
	return name
}
