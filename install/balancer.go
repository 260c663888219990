// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
)

// definitionKind is that of custom resource definitions.
var definitionKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")

// pendingAfter is how long a Service may wait for its address before that says something.
const pendingAfter = 2 * time.Minute

// balancer looks for who gives addresses to Services of type LoadBalancer, without making one:
// what somebody got is the best evidence, then a known load balancer.
func (d describer) balancer(ctx context.Context, f *Found) error {
	var services corev1.ServiceList
	if err := d.c.List(ctx, &services); err != nil {
		return d.c.Explain(err, "listing Services")
	}
	b := &f.Balancer
	for i := range services.Items {
		s := &services.Items[i]
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		name := s.Namespace + "/" + s.Name
		ingress := s.Status.LoadBalancer.Ingress
		switch {
		case len(ingress) == 0:
			if time.Since(s.CreationTimestamp.Time) > pendingAfter {
				b.Pending = name
			}
			continue
		case ingress[0].IP != "":
			b.Addresses++
			b.Evidence = "Service " + name + " has " + ingress[0].IP
		default:
			b.Hostnames++
			if b.Evidence == "" {
				b.Evidence = "Service " + name + " has " + ingress[0].Hostname
			}
		}
	}
	if b.Evidence != "" {
		return nil
	}
	var err error
	b.Evidence, err = d.knownBalancer(ctx)
	return err
}

// knownBalancer recognises load balancers by what they leave in a cluster; "" for none.
func (d describer) knownBalancer(ctx context.Context) (string, error) {
	// MetalLB and Cilium give addresses of pools, and none without one.
	for _, pool := range []struct{ name, version, kind string }{
		{"MetalLB", "metallb.io/v1beta1", "IPAddressPool"},
		{"Cilium", "cilium.io/v2alpha1", "CiliumLoadBalancerIPPool"},
	} {
		var list metav1.PartialObjectMetadataList
		list.APIVersion, list.Kind = pool.version, pool.kind+"List"
		err := d.c.List(ctx, &list)
		if err != nil && !kube.Absent(err) {
			return "", d.c.Explain(err, "listing address pools of "+pool.name)
		}
		if len(list.Items) > 0 {
			return fmt.Sprintf("%s has the pool %s", pool.name, list.Items[0].Name), nil
		}
	}
	var nodes corev1.NodeList
	if err := d.c.List(ctx, &nodes, client.Limit(50)); err != nil {
		return "", d.c.Explain(err, "listing nodes")
	}
	for i := range nodes.Items {
		provider, _, _ := strings.Cut(nodes.Items[i].Spec.ProviderID, "://")
		switch provider {
		case "aws", "gce", "azure", "openstack", "digitalocean", "linode", "hcloud", "ibm", "oci", "alicloud", "k3s":
			return "its nodes are of " + provider, nil
		}
	}
	return "", nil
}
