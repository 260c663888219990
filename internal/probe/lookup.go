// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"net"
	"slices"
)

// lookup asks the resolver that every application of the pod asks: the cluster's DNS server, or
// the sidecar where it takes DNS over.
func lookup(ctx context.Context, l Lookup) Lookup {
	ctx, cancel := context.WithTimeout(ctx, bounded(l.Timeout))
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, l.Host)
	if err != nil {
		l.Error, l.Detail = missing(err), err.Error()
		return l
	}
	slices.Sort(addresses)
	l.Addresses = addresses
	return l
}

// missing tells the answer that there is no such name (dns) from no answer, and from a server
// that could not tell.
func missing(err error) string {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return Classify(err)
	case dns.IsNotFound:
		return ErrDNS
	case dns.IsTimeout:
		return ErrTimeout
	}
	return ErrOther
}
