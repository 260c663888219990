// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster owns what stands between a topology and a running Kubernetes API: the facts
// of the host, the container engine, the container network that clusters of one topology share,
// and the Provider that makes and removes clusters.
//
// The engine is Docker or podman, found by Detect and driven through its command line, so that
// what is done can be repeated by hand. Docker's daemon is the user's and is never configured;
// podman has none and gets a configuration of its own where the host needs one.
//
// What a restricted host needs is found out by Detect, said once by Facts.Adjustments and
// applied by Prepare; a host that needs nothing is left as it is.
//
// It refuses to know how a cluster is made (package kind does), what runs inside of it, and
// anything that does not carry the owner's labels: a network or container of someone else is
// named in an error and left alone.
package cluster
