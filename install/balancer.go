// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// definitionKind is that of custom resource definitions.
var definitionKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")

// pendingAfter is how long a Service may wait for its address before that says something.
const pendingAfter = 2 * time.Minute

// balancer looks for who gives addresses to Services of type LoadBalancer, without making one:
// what somebody got is the best evidence, then a known load balancer. The MetalLB of the topology
// whose cluster it is, is none: it goes where the file says that there is another one. It needs what
// record reads.
func (d describer) balancer(ctx context.Context, f *Found) error {
	pools, err := d.pools(ctx)
	if err != nil {
		return err
	}
	var ours []topology.AddressRange
	var others []string
	for i := range pools {
		if f.Owner != "" && pools[i].GetLabels()[topology.LabelOwner] == f.Owner {
			ours = append(ours, rangesOf(&pools[i])...)
		} else {
			others = append(others, pools[i].GetName())
		}
	}
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
		ingress := outside(s.Status.LoadBalancer.Ingress, ours)
		switch {
		case len(ingress) < len(s.Status.LoadBalancer.Ingress):
			continue
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
	// MetalLB and Cilium give addresses of pools, and none without one.
	if len(others) > 0 {
		b.Evidence = "MetalLB has the pool " + others[0]
		return nil
	}
	b.Evidence, err = d.knownBalancer(ctx)
	return err
}

// pools are MetalLB's.
func (d describer) pools(ctx context.Context) ([]unstructured.Unstructured, error) {
	var list unstructured.UnstructuredList
	list.SetAPIVersion(metallbAPI)
	list.SetKind(poolKind + "List")
	if err := d.c.List(ctx, &list); err != nil && !kube.Absent(err) {
		return nil, d.c.Explain(err, "listing address pools of MetalLB")
	}
	return list.Items, nil
}

// knownBalancer recognises load balancers by what they leave in a cluster; "" for none.
func (d describer) knownBalancer(ctx context.Context) (string, error) {
	var list metav1.PartialObjectMetadataList
	list.APIVersion, list.Kind = "cilium.io/v2alpha1", "CiliumLoadBalancerIPPoolList"
	if err := d.c.List(ctx, &list); err != nil && !kube.Absent(err) {
		return "", d.c.Explain(err, "listing address pools of Cilium")
	}
	if len(list.Items) > 0 {
		return "Cilium has the pool " + list.Items[0].Name, nil
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
