// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// crlConfigMap is the list of revoked certificates that istiod writes into every namespace beside
// the root certificate (PILOT_CRL_CONFIGMAP in pilot/pkg/features of istio.io/istio).
const crlConfigMap = "istio-ca-crl"

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
	gone, err := l.find(ctx, c)
	if err != nil {
		return err
	}
	return c.Remove(ctx, gone...)
}

// find lists what is there of them; nothing while an istiod is left.
func (l Leftovers) find(ctx context.Context, c *kube.Client) ([]client.Object, error) {
	var left appsv1.DeploymentList
	if err := c.List(ctx, &left, client.MatchingLabels{"app": "istiod"}); err != nil {
		return nil, c.Explain(err, "looking for other control planes")
	}
	if len(left.Items) > 0 {
		return nil, nil
	}
	var roots corev1.ConfigMapList
	// istiod labels what it gives out (pilot/pkg/serviceregistry/kube/controller in istio.io/istio).
	if err := c.List(ctx, &roots, client.MatchingLabels{"istio.io/config": "true"}); err != nil {
		return nil, c.Explain(err, "listing root certificates")
	}
	var gone []client.Object
	for i := range roots.Items {
		if name := roots.Items[i].Name; name == topology.RootCertConfigMap || name == crlConfigMap {
			gone = append(gone, &roots.Items[i])
		}
	}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name}
	}
	possible := []client.Object{&admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: l.Topology.Revisioned(injectorWebhook)}}}
	for _, election := range elections() {
		for _, name := range []string{election, election + "-" + l.Topology.RevisionName()} {
			possible = append(possible, &corev1.ConfigMap{ObjectMeta: meta(name)}, &coordinationv1.Lease{ObjectMeta: meta(name)})
		}
	}
	for _, obj := range possible {
		err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if kube.Absent(err) {
			continue
		}
		if err != nil {
			return nil, c.Explain(err, "reading "+obj.GetName())
		}
		gone = append(gone, obj)
	}
	return gone, nil
}

// Groups of the definitions that each chart brings.
const (
	istioGroups   = ".istio.io"
	metallbGroups = "metallb.io"
)

// Remove uninstalls what all revisions share, and deletes Istio's definitions if we made
// them and nobody else has an object of any; otherwise all of them stay, are ours no longer, and a
// state says so.
func (b IstioBase) Remove(ctx context.Context, c *kube.Client) error {
	if err := b.takeAway(ctx, c, b.named(baseRelease), nil); err != nil {
		return err
	}
	return removeDefinitions(ctx, c, b.Mesh, istioGroups)
}

func removeDefinitions(ctx context.Context, c *kube.Client, m Mesh, groups string) error {
	gone, kept, user, err := definitions(ctx, c, m, groups)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		m.keeps(ctx, c, "%d definitions of %s are kept: %s is not ours", len(kept), strings.TrimPrefix(groups, "."), user)
	}
	for _, definition := range kept {
		if err := disown(ctx, c, definition); err != nil {
			return err
		}
	}
	if err := c.Remove(ctx, gone...); err != nil {
		return err
	}
	return until(ctx, c, "definitions of "+strings.TrimPrefix(groups, ".")+" to be gone", func(ctx context.Context) (bool, string, error) {
		left, _, _, err := definitions(ctx, c, m, groups)
		return err == nil && len(left) == 0, fmt.Sprintf("%d definitions are being removed", len(left)), err
	})
}

// disown takes our labels off an object that stays.
func disown(ctx context.Context, c *kube.Client, obj client.Object) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:null,%q:null}}}`, topology.LabelTopology, topology.LabelOwner)
	err := c.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(topology.FieldManager))
	return c.Explain(err, "taking our labels off "+obj.GetName())
}

// definitions are those of ours whose group ends so: those that can go, or, when somebody else
// has an object of any of them, those that stay and whose object that is.
func definitions(ctx context.Context, c *kube.Client, m Mesh, groups string) (gone, kept []client.Object, user string, err error) {
	var list apiextensionsv1.CustomResourceDefinitionList
	if err := c.List(ctx, &list, client.MatchingLabels(m.labels())); err != nil {
		return nil, nil, "", c.Explain(err, "listing definitions")
	}
	for i := range list.Items {
		definition := &list.Items[i]
		if !strings.HasSuffix(definition.Spec.Group, groups) {
			continue
		}
		gone = append(gone, definition)
		if user == "" && definition.DeletionTimestamp == nil {
			if user, err = userOf(ctx, c, m, definition); err != nil {
				return nil, nil, "", err
			}
		}
	}
	if user != "" {
		return nil, gone, user, nil
	}
	return gone, nil, "", nil
}

// reported says that objects of a kind are only what a controller reports (MetalLB's
// ServiceL2Status), and so nobody's.
func reported(kind string) bool {
	return strings.HasSuffix(kind, "Status") || strings.HasSuffix(kind, "State")
}

// userOf names an object of the definition's kind that is not ours, or "".
func userOf(ctx context.Context, c *kube.Client, m Mesh, definition *apiextensionsv1.CustomResourceDefinition) (string, error) {
	if reported(definition.Spec.Names.Kind) {
		return "", nil
	}
	for _, version := range definition.Spec.Versions {
		if !version.Served {
			continue
		}
		var list metav1.PartialObjectMetadataList
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
			if item := &list.Items[i]; !owned(item, m) {
				return strings.TrimSuffix(fmt.Sprintf("%s %s/%s", definition.Spec.Names.Kind, item.Namespace, item.Name), "/"), nil
			}
		}
		return "", nil
	}
	return "", nil
}
