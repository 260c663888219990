// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"net/netip"
	"strings"
)

// IsLoopback says whether a host, by name or address and without a port, is the loopback of whoever
// uses it.
func IsLoopback(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// OutOfReach says why other clusters can never reach a host, by name or address and without a port;
// "" where they may.
func OutOfReach(host string) string {
	if IsLoopback(host) {
		return "is the loopback of whoever asks, for a pod the pod itself"
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	switch ip = ip.Unmap(); {
	case err != nil:
	case ip.IsUnspecified():
		return "is an address to listen on, not one to reach"
	case ip.IsLinkLocalUnicast() || ip.IsMulticast():
		return "is not reachable from another network"
	}
	return ""
}
