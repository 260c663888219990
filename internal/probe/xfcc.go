// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import "strings"

// headerPeer is where the sidecar in front of an application says who it has authenticated, in
// Envoy's form (x-forwarded-client-cert): elements of the proxies on the way, the nearest last, each
// of Key=value pairs. Istio's inbound listeners set it on mutual TLS and remove what came otherwise.
const headerPeer = "X-Forwarded-Client-Cert"

// peerOf reads the last element: presented is the SPIFFE ID of the certificate that the sidecar
// presented, caller that of the one that it was shown. Both are empty for plaintext.
func peerOf(header string) (presented, caller string) {
	elements := splitOutside(header, ',')
	for _, pair := range splitOutside(elements[len(elements)-1], ';') {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		value = strings.Trim(value, `"`)
		switch {
		case strings.EqualFold(key, "By"):
			presented = value
		case strings.EqualFold(key, "URI"):
			caller = value
		}
	}
	return presented, caller
}

// splitOutside splits at a separator that is not within quotes; it gives one part at least.
func splitOutside(s string, separator byte) []string {
	var parts []string
	quoted, begin := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}
