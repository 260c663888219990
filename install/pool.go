// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

const (
	// metallbAPI is the version of MetalLB's IPAddressPool and L2Advertisement.
	metallbAPI = "metallb.io/v1beta1"
	poolKind   = "IPAddressPool"
)

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
		l.custom(poolKind, map[string]any{"addresses": addresses}),
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

// CheckPool does what MetalLB's webhook would: there is a range, each is one, and no two overlap.
// It names all that is wrong.
func CheckPool(addresses []string) error {
	if len(addresses) == 0 {
		return errors.New("the address pool is empty")
	}
	var errs []error
	var ranges []topology.AddressRange
	for _, each := range addresses {
		r, err := topology.ParseAddressRange(each)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, other := range ranges {
			if r.Overlaps(other) {
				errs = append(errs, fmt.Errorf("address range %s overlaps %s", r, other))
			}
		}
		ranges = append(ranges, r)
	}
	return errors.Join(errs...)
}

// removePool removes the pool and its advertisement if they are ours. Nobody answers at its addresses
// from then on, so no Service keeps one: whoever reads it there would go on calling it.
func (l MetalLB) removePool(ctx context.Context, c *kube.Client) error {
	for _, kind := range []string{poolKind, "L2Advertisement"} {
		found := l.custom(kind, nil)
		err := c.Get(ctx, client.ObjectKeyFromObject(found), found)
		if kube.Absent(err) {
			continue
		}
		if err != nil {
			return c.Explain(err, "reading "+kind+" "+found.GetName())
		}
		if !owned(found, l.Mesh) {
			continue
		}
		if kind == poolKind {
			if err := withdraw(ctx, c, rangesOf(found)); err != nil {
				return err
			}
		}
		if err := c.Remove(ctx, found); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes load-balancer addresses out of ranges from the Services that have them.
func withdraw(ctx context.Context, c *kube.Client, ranges []topology.AddressRange) error {
	var services corev1.ServiceList
	if err := c.List(ctx, &services); err != nil {
		return c.Explain(err, "listing Services")
	}
	for i := range services.Items {
		s := &services.Items[i]
		left := outside(s.Status.LoadBalancer.Ingress, ranges)
		if len(left) == len(s.Status.LoadBalancer.Ingress) {
			continue
		}
		before := s.DeepCopy()
		s.Status.LoadBalancer.Ingress = left
		if err := c.Status().Patch(ctx, s, client.MergeFrom(before)); err != nil && !kube.Absent(err) {
			return c.Explain(err, "withdrawing the address of Service "+s.Namespace+"/"+s.Name)
		}
	}
	return nil
}

// outside are the entries of a Service whose addresses are in no range.
func outside(ingress []corev1.LoadBalancerIngress, ranges []topology.AddressRange) (left []corev1.LoadBalancerIngress) {
	for _, in := range ingress {
		address, err := netip.ParseAddr(in.IP)
		if err != nil || !slices.ContainsFunc(ranges, func(r topology.AddressRange) bool { return r.Contains(address) }) {
			left = append(left, in)
		}
	}
	return left
}

// rangesOf are the addresses of a pool, as far as they are ranges of IPv4.
func rangesOf(pool *unstructured.Unstructured) (ranges []topology.AddressRange) {
	addresses, _, _ := unstructured.NestedStringSlice(pool.Object, "spec", "addresses")
	for _, each := range addresses {
		if r, err := topology.ParseAddressRange(each); err == nil {
			ranges = append(ranges, r)
		}
	}
	return ranges
}
