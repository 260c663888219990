// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package federation is everything that takes a second cluster: the gateway that lets other
// networks in, the credentials by which one cluster's istiod reads another cluster, and the
// wait until every istiod has read every peer.
//
// Each type is one step: Look says what is to be done and changes nothing, Do does it, and a
// second Look says that nothing is left. Types that undo have Remove.
//
// It owns the shape of remote secrets (which is that of istioctl), how long their tokens
// last and how they are revoked; what their account may read is Istio's to say, see
// docs/adr/0004-bounded-tokens.md. It refuses server addresses that only the machine at hand
// can reach, tokens without an end, and to print a token anywhere.
package federation
