// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package images owns the names under which the images of a mesh are published, and what a
// mirror makes of those names. It is pure: it refuses to ask a registry, to read a bundle, and
// to know clusters. What is really served under a name is the business of internal/registry.
package images
