// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package kube is one client for each cluster: reading, server-side apply, removal, workload
// states in words, and port-forwards.
//
// It owns how we talk to an API server: who we say we are, how fast we ask, how requests are
// counted, what an unreachable server is called, and which differences between a wanted and
// a found object are ours to mend. It knows which types exist, but not what a mesh is.
//
// It refuses to cache (what is seen is what is there now), to watch, to exec into pods, to
// change the user's kubeconfig, and to put values of Secrets into differences or errors.
package kube
