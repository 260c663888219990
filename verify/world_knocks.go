// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "github.com/meshfed/meshfed/internal/probe"

// KnockKind says what is wrong with a connection to an east-west gateway.
type KnockKind string

// The connections that must be refused, as variants of results.
const (
	// KnockNoCertificate and KnockForeignRoot ask for a service of the mesh.
	KnockNoCertificate KnockKind = "no certificate"
	KnockForeignRoot   KnockKind = "foreign root"
	// KnockUnknownSNI and KnockPlaintext ask for none.
	KnockUnknownSNI KnockKind = "unknown SNI"
	KnockPlaintext  KnockKind = "plaintext"
)

// Knocks are the connections from one cluster to the gateway addresses of another.
type Knocks struct {
	Problem string
	// Addresses that were tried; Calls hold one connection of each kind to each of them.
	Addresses []string
	Calls     map[KnockKind][]Knock
	// Twin are requests of the caller through the same gateway; Through counts those that its
	// Envoy got an answer to, by address, and Counted those that the application was given.
	Twin    Call
	Through map[string]int
	Counted int
	// Want is the identity that the workload behind the gateway serves.
	Want string
}

// Knock is one connection.
type Knock struct {
	Problem string
	Address string
	SNI     string
	Outcome probe.Outcome
	// Served is the identity in the certificate that was served, empty without one: then the
	// gateway itself has ended the connection.
	Served string
	// Reached counts the requests that the application was given.
	Reached int
}

// Exposed are the workloads of one cluster that its east-west gateway passes connections to.
type Exposed struct {
	Problem string
	// Ports of services that were looked at.
	Ports int
	// Open are those with a workload that does not ask for a certificate: "shop/web:8080".
	Open []string
}
