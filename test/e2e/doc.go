// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the program on real clusters: up, verify, faults, repair, down, and an
// inventory of the host before and after. It needs root, a container engine and an image
// bundle (`make bundle`), refuses to touch anything whose name does not begin with "mfe2e",
// and is built with the tag e2e only.
package e2e
