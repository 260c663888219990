// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Object is one object of a cluster, by what is known of it without its content.
type Object struct {
	// Kind with its group: "Deployment.apps".
	Kind, Namespace, Name string
	// Labels of the object, and whether another object of its namespace owns it.
	Labels map[string]string
	Owned  bool
}

// String is "Deployment.apps istio-system/istiod".
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Ours lists everything in a cluster that carries the topology's ownership labels, of every kind
// that its API serves. It reads metadata only, and blocks for a second or two.
func Ours(ctx context.Context, c *kube.Client, m Mesh) ([]Object, error) {
	return Objects(ctx, c, client.MatchingLabels(m.labels()))
}

// foreign names something in a namespace that is not ours, and says so; "" for nothing. What carries
// labels of ours is ours, with all that it owns, and what a controller puts into every namespace is
// nobody's. Where an API group does not answer nobody knows: that is said too.
func (m Mesh) foreign(ctx context.Context, c *kube.Client, namespace string) (string, error) {
	all, silent, err := inventory(ctx, c, client.InNamespace(namespace))
	if err != nil {
		return "", err
	}
	for _, o := range all {
		if !m.ours(o.Labels) && !o.Owned && !o.automatic() {
			return o.String() + " is not ours", nil
		}
	}
	if silent != "" {
		return "the API group " + silent + " does not answer, so nobody knows what of it is there", nil
	}
	return "", nil
}

// automatic says that a controller makes such an object by itself, and again when it is gone.
func (o Object) automatic() bool {
	switch o.Kind {
	case "Event", "Event.events.k8s.io", "Endpoints", "EndpointSlice.discovery.k8s.io", "Lease.coordination.k8s.io", "PodMetrics.metrics.k8s.io":
		return true
	case "ConfigMap":
		return o.Name == "kube-root-ca.crt" || o.Name == topology.RootCertConfigMap || o.Name == crlConfigMap || slices.ContainsFunc(elections(), func(name string) bool { return strings.HasPrefix(o.Name, name) })
	case "ServiceAccount":
		return o.Name == "default"
	}
	return strings.HasSuffix(o.Kind, "."+metallbGroups) && reported(strings.TrimSuffix(o.Kind, "."+metallbGroups))
}

// Objects lists the objects of every kind that a cluster's API serves and lists, under the given
// restrictions, sorted. Kinds that it serves in several groups or versions are listed once, in
// the version that it prefers; an API group that does not answer is left out.
func Objects(ctx context.Context, c *kube.Client, restrict ...client.ListOption) ([]Object, error) {
	all, _, err := inventory(ctx, c, restrict...)
	return all, err
}

// inventory is Objects, and an API group that does not answer, "" for none.
func inventory(ctx context.Context, c *kube.Client, restrict ...client.ListOption) (all []Object, silent string, err error) {
	lists, err := c.Clientset.Discovery().ServerPreferredResources()
	failed, partly := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partly {
		return nil, "", c.Explain(err, "asking which kinds there are")
	}
	for group, err := range failed {
		if !kube.Absent(err) { // its last definition went meanwhile
			silent = max(silent, group.String())
		}
	}
	found, err := listAll(ctx, c, lists, restrict...)
	return found, silent, err
}

// listAll lists the objects of every kind of the lists.
func listAll(ctx context.Context, c *kube.Client, lists []*metav1.APIResourceList, restrict ...client.ListOption) ([]Object, error) {
	inOne := slices.ContainsFunc(restrict, func(o client.ListOption) bool { _, ok := o.(client.InNamespace); return ok })
	namespaced := namespacedKinds(lists)
	var all []Object
	for _, group := range lists {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading which kinds %s has: %w", c.Cluster, err)
		}
		for _, resource := range group.APIResources {
			if !slices.Contains(resource.Verbs, "list") || inOne && !resource.Namespaced {
				continue
			}
			var found metav1.PartialObjectMetadataList
			found.SetGroupVersionKind(version.WithKind(resource.Kind + "List"))
			if err := c.List(ctx, &found, restrict...); err != nil {
				if kube.Absent(err) {
					continue // its definition went meanwhile
				}
				return nil, c.Explain(err, "listing "+resource.Name)
			}
			kind := strings.TrimSuffix(resource.Kind+"."+version.Group, ".")
			for i := range found.Items {
				o := &found.Items[i]
				all = append(all, Object{Kind: kind, Namespace: o.Namespace, Name: o.Name, Labels: o.Labels, Owned: slices.ContainsFunc(o.OwnerReferences, func(r metav1.OwnerReference) bool {
					return namespaced[schema.FromAPIVersionAndKind(r.APIVersion, r.Kind).GroupKind()]
				})})
			}
		}
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// namespacedKinds are the kinds of the lists whose objects are in namespaces. An owner of such a
// kind is in the namespace of what it owns.
func namespacedKinds(lists []*metav1.APIResourceList) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{}
	for _, group := range lists {
		for _, resource := range group.APIResources {
			kinds[schema.FromAPIVersionAndKind(group.GroupVersion, resource.Kind).GroupKind()] = resource.Namespaced
		}
	}
	return kinds
}
