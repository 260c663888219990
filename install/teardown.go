// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// elections are the leader elections of istiod (pilot/pkg/leaderelection in istio.io/istio):
// it keeps each in a ConfigMap, or a Lease, of that name in its namespace; those for each
// revision have "-<revision>" appended.
func elections() []string {
	return []string{
		"istio-namespace-controller-election", "istio-clustertrustbundle-controller-election",
		"istio-serviceexport-controller-election", "istio-leader", "istio-gateway-status-leader",
		"istio-status-leader", "istio-analyze-leader", "istio-gateway-deployment",
		"istio-gateway-inferencepool", "istio-node-untaint", "istio-ip-autoallocate",
	}
}

// Teardown removes all that this package makes in a cluster, in reverse order, and what
// istiod made by itself. It goes on after an error and returns all of them. It does not
// wait for namespaces to be gone. A cluster that is deleted as a whole needs none of it.
func Teardown(ctx context.Context, c *kube.Client, m Mesh) error {
	parts := []Part{
		Namespaces{m}, EastWestGateway{m}, IngressGateway{m}, ExternalService{m}, Istiod{m}, Leftovers{m}, IstioBase{m},
		CACerts{Mesh: m}, SystemNamespace{m}, MetalLB{Mesh: m},
	}
	var errs []error
	for _, part := range parts {
		errs = append(errs, part.Remove(ctx, c))
	}
	return errors.Join(errs...)
}

// Leftovers is the closed list of what istiod makes by itself and leaves behind: the root
// certificate in every namespace and the records of its leader elections. It is removed
// only when no istiod is left in the cluster.
type Leftovers struct{ Mesh }

// Look implements Part: there is never anything to make.
func (l Leftovers) Look(context.Context, *kube.Client) (graph.Change, error) {
	return graph.Change{Action: graph.None}, nil
}

// Do implements Part: there is never anything to make.
func (l Leftovers) Do(context.Context, *kube.Client, graph.Change) error { return nil }

// Remove implements Part.
func (l Leftovers) Remove(ctx context.Context, c *kube.Client) error {
	var left appsv1.DeploymentList
	if err := c.List(ctx, &left, client.MatchingLabels{"app": "istiod"}); err != nil {
		return c.Explain(err, "looking for other control planes")
	}
	if len(left.Items) > 0 {
		return nil
	}
	var roots corev1.ConfigMapList
	// istiod labels what it gives out (pilot/pkg/serviceregistry/kube/controller in istio.io/istio).
	if err := c.List(ctx, &roots, client.MatchingLabels{"istio.io/config": "true"}); err != nil {
		return c.Explain(err, "listing root certificates")
	}
	var gone []client.Object
	for i := range roots.Items {
		if roots.Items[i].Name == topology.RootCertConfigMap {
			gone = append(gone, &roots.Items[i])
		}
	}
	for _, election := range elections() {
		for _, name := range []string{election, election + "-" + l.Topology.RevisionName()} {
			meta := metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name}
			gone = append(gone, &corev1.ConfigMap{ObjectMeta: meta}, &coordinationv1.Lease{ObjectMeta: meta})
		}
	}
	injector := metav1.ObjectMeta{Name: l.Topology.Revisioned(injectorWebhook)}
	gone = append(gone, &admissionv1.MutatingWebhookConfiguration{ObjectMeta: injector})
	return c.Remove(ctx, gone...)
}

// Remove uninstalls what all revisions share, and deletes Istio's definitions if we made
// them and nobody else has an object of one; otherwise they stay and a state says so.
func (b IstioBase) Remove(ctx context.Context, c *kube.Client) error {
	release := Release{Name: baseRelease, Namespace: topology.SystemNamespace, Labels: b.labels()}
	if err := release.Remove(ctx, c); err != nil {
		return err
	}
	var definitions apiextensionsv1.CustomResourceDefinitionList
	if err := c.List(ctx, &definitions, client.MatchingLabels(b.labels())); err != nil {
		return c.Explain(err, "listing definitions")
	}
	var gone []client.Object
	for i := range definitions.Items {
		definition := &definitions.Items[i]
		if !strings.HasSuffix(definition.Spec.Group, ".istio.io") {
			continue
		}
		user, err := b.user(ctx, c, definition)
		if err != nil {
			return err
		}
		if user != "" {
			graph.State(ctx, "definition %s is kept: %s is not ours", definition.Name, user)
			continue
		}
		gone = append(gone, definition)
	}
	return c.Remove(ctx, gone...)
}

// user names an object of the definition's kind that is not ours, or "".
func (b IstioBase) user(ctx context.Context, c *kube.Client, definition *apiextensionsv1.CustomResourceDefinition) (string, error) {
	for _, version := range definition.Spec.Versions {
		if !version.Served {
			continue
		}
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(schema.GroupVersionKind{
			Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind + "List",
		})
		err := c.List(ctx, &list)
		if kube.Absent(err) {
			return "", nil
		}
		if err != nil {
			return "", c.Explain(err, "listing objects of "+definition.Name)
		}
		for i := range list.Items {
			if !owned(&list.Items[i], b.Mesh) {
				return fmt.Sprintf("%s %s/%s", definition.Spec.Names.Kind, list.Items[i].GetNamespace(), list.Items[i].GetName()), nil
			}
		}
		return "", nil
	}
	return "", nil
}
