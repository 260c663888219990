// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package istiod reads what istiod says of itself on its debug pages, replica by replica.
//
// It owns the port, the paths and the JSON shapes of those pages, as Istio's sources have
// them (pilot/pkg/xds/debug.go, pkg/cluster/debug.go). Federation waits by it and verify
// judges by it. It refuses to change anything, and to judge.
//
// The pages are served on the monitoring port, 15014, to callers from loopback without a
// token; a port-forward arrives from there. ENABLE_DEBUG_ON_HTTP=false in istiod's
// environment turns them off.
package istiod
