// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package sbom owns the list of what a binary is made of, in CycloneDX, written from what the
// compiler left in the binary. It refuses the time of day and random numbers: the same
// binary has the same list.
package sbom
