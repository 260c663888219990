// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Target is the cluster that manifests are rendered for, without asking it anything.
type Target struct {
	// Cluster is its name in the topology.
	Cluster string
	// Kubernetes is its version, such as 1.36.3, for charts that ask; empty means that of the
	// libraries that are compiled in.
	Kubernetes string
}

// Renderer is a part whose objects follow from the topology alone.
type Renderer interface {
	// Render lists the objects that Do applies, in that order; none when there is nothing to
	// do. It asks no cluster. What istiod changes by itself once it runs is left out, see
	// settled, and istiod waits for its CA, see needsCACerts.
	Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error)
}

var (
	_ Renderer = MetalLB{}
	_ Renderer = SystemNamespace{}
	_ Renderer = Namespaces{}
	_ Renderer = IstioBase{}
	_ Renderer = Istiod{}
	_ Renderer = RemoteIstiod{}
	_ Renderer = ExternalService{}
	_ Renderer = MeshMTLS{}
	_ Renderer = IngressGateway{}
	_ Renderer = EastWestGateway{}
)

// offline stands for a cluster where only its name is asked for.
func (t Target) offline() *kube.Client { return &kube.Client{Cluster: t.Cluster} }

// Render is the release as Do would install it, with every object's namespace written out.
// Hooks are refused: whoever applies manifests does not run them.
func (r Release) Render(ctx context.Context, kubernetes string) ([]*unstructured.Unstructured, error) {
	objects, err := r.render(ctx, kubernetes)
	if err != nil {
		return nil, fmt.Errorf("rendering chart %s: %w", r.Name, err)
	}
	for _, u := range objects {
		if u.GetNamespace() == "" && !withoutNamespace(u.GetKind()) {
			u.SetNamespace(r.Namespace)
		}
	}
	return objects, nil
}

func (r Release) render(ctx context.Context, kubernetes string) ([]*unstructured.Unstructured, error) {
	chart, err := r.Chart.Load()
	if err != nil {
		return nil, err
	}
	values, err := clone(r.Values)
	if err != nil {
		return nil, err
	}
	install := r.install(action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler)), nil)
	install.DryRunStrategy, install.IncludeCRDs = action.DryRunClient, true
	if kubernetes != "" {
		if install.KubeVersion, err = common.ParseKubeVersion("v" + strings.TrimPrefix(kubernetes, "v")); err != nil {
			return nil, err
		}
	}
	made, err := install.RunWithContext(ctx, chart, values)
	if err != nil {
		return nil, err
	}
	rendered, ok := made.(*helmrelease.Release)
	if !ok {
		return nil, fmt.Errorf("helm made a %T", made)
	}
	if len(rendered.Hooks) > 0 {
		return nil, errors.New("the chart has hooks, which only Helm runs")
	}
	return decode(strings.NewReader(rendered.Manifest))
}

// withoutNamespace says whether a kind that charts render has no namespace. Charts leave the
// namespace out where it is the release's own, and kubectl would take "default" for it.
func withoutNamespace(kind string) bool {
	switch kind {
	case "Namespace", "Node", "PersistentVolume", "CustomResourceDefinition", "APIService", "ClusterRole", "ClusterRoleBinding",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "PriorityClass", "StorageClass", "RuntimeClass", "IngressClass",
		"GatewayClass", "CSIDriver", "FlowSchema", "PriorityLevelConfiguration":
		return true
	}
	return false
}

// Render implements Renderer: the chart, then the pool. The namespace comes first.
func (l MetalLB) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	if err := CheckPool(l.Addresses); err != nil {
		return nil, err
	}
	chart, err := l.Release().Render(ctx, t.Kubernetes)
	if err != nil {
		return nil, err
	}
	own, err := written(l.objects()...)
	if err != nil {
		return nil, err
	}
	return append(append(own[:1:1], chart...), own[1:]...), nil
}

// Render implements Renderer.
func (n SystemNamespace) Render(_ context.Context, t Target) ([]*unstructured.Unstructured, error) {
	cluster, err := n.cluster(t.offline())
	if err != nil {
		return nil, err
	}
	return written(n.own(cluster))
}

// Render implements Renderer.
func (n Namespaces) Render(_ context.Context, t Target) ([]*unstructured.Unstructured, error) {
	var namespaces []client.Object
	for _, each := range n.Topology.NamespacesOf(t.Cluster) {
		namespaces = append(namespaces, kube.Namespace(each.Name, kube.Labels(n.labels(), n.labelsOf(each))))
	}
	return written(namespaces...)
}

// Render implements Renderer.
func (b IstioBase) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	release, err := b.Release(t.offline())
	if err != nil {
		return nil, err
	}
	return settled(release.Render(ctx, t.Kubernetes))
}

// Render implements Renderer.
func (i Istiod) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	release, err := i.Release(t.offline())
	if err != nil {
		return nil, err
	}
	objects, err := settled(release.Render(ctx, t.Kubernetes))
	for _, u := range objects {
		needsCACerts(u)
	}
	return objects, err
}

// Render implements Renderer.
func (r RemoteIstiod) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	release, err := r.Release(t.offline())
	if err != nil {
		return nil, err
	}
	return settled(release.Render(ctx, t.Kubernetes))
}

// Render implements Renderer.
func (e ExternalService) Render(context.Context, Target) ([]*unstructured.Unstructured, error) {
	return written(e.Service())
}

// Render implements Renderer: one policy when the mode is strict.
func (p MeshMTLS) Render(context.Context, Target) ([]*unstructured.Unstructured, error) {
	if !p.strict() {
		return nil, nil
	}
	return written(p.policy())
}

// Render implements Renderer.
func (i IngressGateway) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	g, wanted, err := i.gateway(t.offline())
	if err != nil || !wanted {
		return nil, err
	}
	return g.render(ctx, t)
}

// Render implements Renderer.
func (e EastWestGateway) Render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	g, wanted, err := e.gateway(t.offline())
	if err != nil || !wanted {
		return nil, err
	}
	return g.render(ctx, t)
}

func (g gateway) render(ctx context.Context, t Target) ([]*unstructured.Unstructured, error) {
	release, err := g.release()
	if err != nil {
		return nil, err
	}
	return release.Render(ctx, t.Kubernetes)
}

// written are objects of ours as they would be applied.
func written(objects ...client.Object) ([]*unstructured.Unstructured, error) {
	all := make([]*unstructured.Unstructured, len(objects))
	for i, obj := range objects {
		u, err := kube.Manifest(obj)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", obj.GetName(), err)
		}
		all[i] = u
	}
	return all, nil
}

// settled leaves out of validating webhooks what istiod writes itself: it puts its certificate
// into them and turns Ignore into Fail once it is ready. Whoever applies these fields again,
// kubectl or a GitOps controller, would have a conflict, or turn it back for ever. Left out,
// the policy is the API server's default from the beginning, Fail, which is where istiod
// brings it.
func settled(objects []*unstructured.Unstructured, err error) ([]*unstructured.Unstructured, error) {
	for _, u := range objects {
		if u.GetKind() != "ValidatingWebhookConfiguration" {
			continue
		}
		webhooks, _, _ := unstructured.NestedSlice(u.Object, "webhooks")
		for _, each := range webhooks {
			if webhook, ok := each.(map[string]any); ok && webhook["failurePolicy"] == "Ignore" {
				delete(webhook, "failurePolicy")
			}
		}
		_ = unstructured.SetNestedSlice(u.Object, webhooks, "webhooks")
	}
	return objects, err
}

// needsCACerts makes istiod's pods wait for the secret cacerts, which the chart has optional:
// an istiod that starts without it makes a root of its own, and trusts no other cluster. `up`
// sees to the order; whoever applies manifests may not.
func needsCACerts(u *unstructured.Unstructured) {
	if u.GetKind() != "Deployment" {
		return
	}
	volumes, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "volumes")
	for _, each := range volumes {
		volume, _ := each.(map[string]any)
		if secret, ok := volume["secret"].(map[string]any); ok && secret["secretName"] == topology.CACertsSecret {
			secret["optional"] = false
		}
	}
	if len(volumes) > 0 {
		_ = unstructured.SetNestedSlice(u.Object, volumes, "spec", "template", "spec", "volumes")
	}
}
