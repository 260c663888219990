// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package probe is the small server and client that verify sends into the mesh.
//
// It owns what runs inside a probe's container: an application that says which pod
// answered, faults that can be switched on for one host name, a load generator that is
// bounded in rate, count and time, knocks that a mesh should refuse with a count of those
// that came through, and a TLS dialler that keeps the chain that it was
// served. All of it is controlled over an admin port on loopback, which only the API
// server's port-forward reaches. It is also the prober that stays in each cluster and exports its
// row of the matrix (prober).
//
// It refuses to know Kubernetes, Istio or the topology: what an answer means is judged by
// package verify, which also checks the pod's name against the API instead of believing it.
// It uses the standard library only, so that a bundle build can compile it from the copy
// of its source that it carries (see Module).
package probe
