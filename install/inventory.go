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
	// Labels of the object, and whether another object owns it.
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

// Strangers lists what others have put into a namespace that is ours: all that carries no label
// of ours, that no other object owns, and that no controller of Kubernetes or Istio puts into
// every namespace.
func Strangers(ctx context.Context, c *kube.Client, m Mesh, namespace string) ([]Object, error) {
	all, err := Objects(ctx, c, client.InNamespace(namespace))
	labels := m.labels()
	return slices.DeleteFunc(all, func(o Object) bool {
		ours := o.Labels[topology.LabelTopology] == labels[topology.LabelTopology] && o.Labels[topology.LabelOwner] == labels[topology.LabelOwner]
		return ours || o.Owned || o.automatic()
	}), err
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
	return false
}

// Objects lists the objects of every kind that a cluster's API serves and lists, under the given
// restrictions, sorted. Kinds that it serves in several groups or versions are listed once, in
// the version that it prefers; an API group that does not answer is left out.
func Objects(ctx context.Context, c *kube.Client, restrict ...client.ListOption) ([]Object, error) {
	lists, err := c.Clientset.Discovery().ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, c.Explain(err, "asking which kinds there are")
	}
	namespaced := slices.ContainsFunc(restrict, func(o client.ListOption) bool { _, ok := o.(client.InNamespace); return ok })
	var all []Object
	for _, group := range lists {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading which kinds %s has: %w", c.Cluster, err)
		}
		for _, resource := range group.APIResources {
			if !slices.Contains(resource.Verbs, "list") || namespaced && !resource.Namespaced {
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
				all = append(all, Object{Kind: kind, Namespace: o.Namespace, Name: o.Name, Labels: o.Labels, Owned: len(o.OwnerReferences) > 0})
			}
		}
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}
