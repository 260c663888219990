// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package image owns the published image of the probe: one index with an image for each
// architecture, whose digest is the same whoever makes it. It refuses to compile and to push.
package image
