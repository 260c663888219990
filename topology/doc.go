// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package topology owns the file: its types, strict loading with line numbers,
// defaults, allocation, validation, and every name that is derived from it.
//
// It is pure: apart from Load and Read, which read the one file that they are given and
// the local files that the file names, nothing here touches a disk, a network or a
// cluster. It knows no Kubernetes client and refuses to guess: what the file does
// not say is either a documented default or a Problem with a line and a fix.
//
// A file goes through these steps, and all problems of all steps are told at once:
//
//	tree.go, set.go         text and YAML to one tree; --set arguments are laid over it
//	decode.go, scalar.go    the tree to the types: keys, null, kinds of values, enums
//	defaults.go             what the file does not say
//	allocate.go             subnets and ports that are still empty
//	validate*.go, files.go  the rules, and the local files that are named
//	sources.go, patches.go  rules of their own: mirrors, chart repositories, nodes' patches
//	refuse.go               what the types lay out but nobody has built yet
//
// To build a field that is refused today, delete its row in refuse.go and the golden
// file that shows it. To add a field, add it to the types with its comment, a default
// if it has one, its rules, and a row in boundaries_test.go; tests tell what is missing. The
// JSON Schema for editors and docs/topology.md are made from types, comments, defaults and
// schema_limits_test.go: go generate ./topology. docs/topology-format.md says what may change.
package topology
