// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package certs is the mesh's PKI as values: one root, an intermediate authority for each
// control plane as the four files of Istio's secret cacerts, and the check that they fit.
//
// It owns algorithms, certificate contents, the formats that istiod reads and the checks
// that istiod makes only after it started. One file, store.go, touches the disk. It knows
// no Kubernetes client, and it refuses to make a root where half of one exists: a root is
// made once. Values that hold a private key print as subjects and fingerprints.
package certs
