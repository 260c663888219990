// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

// AddressRange is a range of IPv4 addresses, both ends included.
type AddressRange struct{ First, Last netip.Addr }

// String is first-last, as MetalLB writes it.
func (r AddressRange) String() string { return r.First.String() + "-" + r.Last.String() }

// Overlaps says whether the two ranges share an address.
func (r AddressRange) Overlaps(other AddressRange) bool {
	return r.First.Compare(other.Last) <= 0 && other.First.Compare(r.Last) <= 0
}

// Contains says whether an address is in the range.
func (r AddressRange) Contains(a netip.Addr) bool {
	return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// Within says whether every address of r is inside the prefix.
func (r AddressRange) Within(prefix netip.Prefix) bool {
	return prefix.Contains(r.First) && prefix.Contains(r.Last)
}

// ParseAddressRange reads first-last or a CIDR of IPv4 addresses.
func ParseAddressRange(text string) (AddressRange, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Addr().Is4() {
			return AddressRange{}, fmt.Errorf("%q is no IPv4 CIDR", text)
		}
		if prefix != prefix.Masked() {
			return AddressRange{}, fmt.Errorf("%q has host bits, its network is %s", text, prefix.Masked())
		}
		return rangeOf(prefix), nil
	}
	from, to, ok := strings.Cut(text, "-")
	first, err1 := netip.ParseAddr(strings.TrimSpace(from))
	last, err2 := netip.ParseAddr(strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil || !first.Is4() || !last.Is4() {
		return AddressRange{}, fmt.Errorf("%q is no range of IPv4 addresses", text)
	}
	if last.Less(first) {
		return AddressRange{}, fmt.Errorf("%q ends before it begins", text)
	}
	return AddressRange{First: first, Last: last}, nil
}

func rangeOf(prefix netip.Prefix) AddressRange {
	prefix = prefix.Masked()
	size := uint64(1) << (32 - prefix.Bits())
	return AddressRange{First: prefix.Addr(), Last: fromNumber(toNumber(prefix.Addr()) + size - 1)}
}

func toNumber(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
}

func fromNumber(n uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
