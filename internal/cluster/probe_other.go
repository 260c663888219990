//go:build !linux

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// probe is not needed: no container network is on this host itself.
func probe(context.Context, *net.Interface, netip.Addr, []netip.Addr) ([]netip.Addr, error) {
	return nil, errors.ErrUnsupported
}
