// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// metallbAPI is the version of MetalLB's IPAddressPool and L2Advertisement.
const metallbAPI = "metallb.io/v1beta1"

// objects are MetalLB's namespace, its pool and the advertisement of that pool. Speakers
// use the node's network, which only the privileged level admits.
func (l MetalLB) objects() []client.Object {
	namespace := kube.Namespace(topology.MetalLBNamespace, kube.Labels(l.labels(), map[string]string{
		"pod-security.kubernetes.io/enforce": "privileged",
	}))
	addresses := make([]any, len(l.Addresses))
	for i, each := range l.Addresses {
		addresses[i] = each
	}
	return []client.Object{
		namespace,
		l.custom("IPAddressPool", map[string]any{"addresses": addresses}),
		l.custom("L2Advertisement", map[string]any{"ipAddressPools": []any{metallbPool}}),
	}
}

func (l MetalLB) custom(kind string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion(metallbAPI)
	u.SetKind(kind)
	u.SetNamespace(topology.MetalLBNamespace)
	u.SetName(metallbPool)
	u.SetLabels(l.labels())
	return u
}

// CheckPool does what MetalLB's webhook would: every entry is a CIDR or a range
// first-last of one address family, and no two overlap. It names all that is wrong.
func CheckPool(addresses []string) error {
	if len(addresses) == 0 {
		return errors.New("the address pool is empty")
	}
	type span struct{ first, last netip.Addr }
	var errs []error
	var spans []span
	for _, each := range addresses {
		first, last, err := parseRange(each)
		if err != nil {
			errs = append(errs, fmt.Errorf("address range %q: %w", each, err))
			continue
		}
		for _, other := range spans {
			if first.Compare(other.last) <= 0 && other.first.Compare(last) <= 0 {
				errs = append(errs, fmt.Errorf("address range %q overlaps %s-%s", each, other.first, other.last))
			}
		}
		spans = append(spans, span{first, last})
	}
	return errors.Join(errs...)
}

func parseRange(text string) (first, last netip.Addr, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return first, last, errors.New("neither a CIDR nor first-last")
		}
		return prefix.Masked().Addr(), lastOf(prefix), nil
	}
	if first, err = netip.ParseAddr(strings.TrimSpace(from)); err != nil {
		return first, last, fmt.Errorf("%q is no address", strings.TrimSpace(from))
	}
	if last, err = netip.ParseAddr(strings.TrimSpace(to)); err != nil {
		return first, last, fmt.Errorf("%q is no address", strings.TrimSpace(to))
	}
	if first.Is4() != last.Is4() {
		return first, last, errors.New("both ends must be of one address family")
	}
	if last.Less(first) {
		return first, last, errors.New("it ends before it starts")
	}
	return first, last, nil
}

// lastOf is the highest address of a prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}
