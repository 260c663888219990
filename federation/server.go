// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// addressHint is the way out of every address that a peer can not use.
const addressHint = "name an address of the API server that pods of the other clusters reach: apiServer.peerAddress of the cluster in the topology file, as https://HOST:6443; " +
	"for kind that is the node container's name or address on the container network"

// ServerURL makes the server of a remote secret from an https URL or host:port, and refuses
// with a hint what the other cluster can not use: loopback, unspecified addresses, plain
// HTTP. It asks no network.
func ServerURL(address string) (string, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		// The parser's own words repeat the whole address, which may hold a password.
		return "", refused("is no URL and no host:port")
	case u.User != nil:
		return "", refused("must not hold credentials")
	case u.Hostname() == "":
		return "", refused("%q has no host", address)
	case u.Scheme == "http":
		return "", refused("%q is plain http, which would send the token in the clear", address)
	case u.Scheme != "https":
		return "", refused("%q is not https", address)
	case u.RawQuery != "" || u.Fragment != "":
		return "", refused("%q has more than a host, a port and a path", address)
	}
	if why := topology.OutOfReach(u.Hostname()); why != "" {
		return "", refused("%q %s", address, why)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func refused(format string, args ...any) error {
	return diag.Hint(fmt.Errorf("the API server's address "+format, args...), addressHint)
}
