// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package state keeps what a topology leaves on this host: a folder of its own, 0700, with
// the lock, the owner id, a kubeconfig for each cluster, the root key, the last verdict of
// verify and a folder for each run.
//
// Only the root key is needed; everything else is found again from the clusters. The
// package owns paths, permissions, atomic writes and the lock. It refuses to know what a
// kubeconfig, a key or a report contains, and it never prints.
//
//	<base>/<topology>/
//	  lock            who works on the topology now
//	  owner           16 hexadecimal digits that mark what this topology made
//	  kubeconfig/     one file for each cluster
//	  pki/            the root's certificate and key
//	  existing.json   by which names clusters of the user's own were reached
//	  verify.json     the last verdict
//	  runs/           log, events and trace of the last 20 runs
package state
