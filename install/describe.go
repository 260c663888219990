// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Describe reads from a running cluster all that Found holds; name is what it is called in the
// answer. It changes nothing, and blocks for some requests. What can not be read for lack of
// rights is an error.
func Describe(ctx context.Context, name string, c *kube.Client) (Found, error) {
	d := describer{c: c, releases: map[string]Origin{}}
	return d.describe(ctx, name, []part{
		d.record, d.helm, d.system, d.mode, d.nodes, d.controls, d.roots, d.gateways, d.peers, d.webhooks, d.definitions, d.balancer,
	})
}

// DescribeMesh reads as much of Found as says which cluster of which mesh this is, and no Secret:
// control planes, gateways, network and locality. It changes nothing, and blocks for some requests.
func DescribeMesh(ctx context.Context, name string, c *kube.Client) (Found, error) {
	d := describer{c: c, releases: map[string]Origin{}}
	return d.describe(ctx, name, []part{d.record, d.system, d.nodes, d.controls, d.gateways})
}

// part reads some of Found.
type part = func(context.Context, *Found) error

func (d describer) describe(ctx context.Context, name string, parts []part) (Found, error) {
	f := Found{Cluster: name}
	var err error
	if f.Kubernetes, err = d.c.Version(ctx); err != nil {
		return f, err
	}
	for _, part := range parts {
		if err := part(ctx, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

// describer reads the parts of Found, which build on each other.
type describer struct {
	c *kube.Client
	// releases are the owners of Helm releases, by namespace/name.
	releases map[string]Origin
}

func (d describer) record(ctx context.Context, f *Found) error {
	var found corev1.ConfigMap
	err := d.c.Get(ctx, client.ObjectKey{Namespace: topology.OwnerNamespace, Name: topology.OwnerConfigMap}, &found)
	if kube.Absent(err) {
		return nil
	}
	f.Topology, f.Owner = found.Data["topology"], found.Data["owner"]
	return d.c.Explain(err, "reading whose cluster it is")
}

// helm reads who owns which release: Helm keeps labels on the Secret of each revision.
func (d describer) helm(ctx context.Context, _ *Found) error {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := d.c.List(ctx, &list, client.MatchingLabels{"owner": "helm"}); err != nil {
		return d.c.Explain(err, "listing Helm releases")
	}
	for i := range list.Items {
		labels := list.Items[i].Labels
		name := list.Items[i].Namespace + "/" + labels["name"]
		if labels["status"] == "superseded" && d.releases[name] != (Origin{}) {
			continue
		}
		d.releases[name] = Origin{Topology: labels[topology.LabelTopology], Owner: labels[topology.LabelOwner], Release: name}
	}
	return nil
}

// origin says who owns an object, by the marks that tools leave.
func (d describer) origin(obj client.Object) Origin {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	o := Origin{Topology: labels[topology.LabelTopology], Owner: labels[topology.LabelOwner]}
	// Helm's own marks (helm.sh/helm/v4/pkg/action, validate.go).
	if release := annotations["meta.helm.sh/release-name"]; release != "" {
		known := d.releases[annotations["meta.helm.sh/release-namespace"]+"/"+release]
		o.Release = annotations["meta.helm.sh/release-namespace"] + "/" + release
		o.Topology, o.Owner = cmp.Or(o.Topology, known.Topology), cmp.Or(o.Owner, known.Owner)
	}
	switch {
	case annotations["argocd.argoproj.io/tracking-id"] != "":
		o.Tool = "Argo CD (" + annotations["argocd.argoproj.io/tracking-id"] + ")"
	case labels["argocd.argoproj.io/instance"] != "":
		o.Tool = "Argo CD (" + labels["argocd.argoproj.io/instance"] + ")"
	case labels["kustomize.toolkit.fluxcd.io/name"] != "":
		o.Tool = "Flux (Kustomization " + labels["kustomize.toolkit.fluxcd.io/name"] + ")"
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		o.Tool = "Flux (HelmRelease " + labels["helm.toolkit.fluxcd.io/name"] + ")"
	case strings.Contains(labels["managed-by"]+annotations["sailoperator.io/namespace"], "sail"):
		o.Tool = "the Sail operator"
	case labels["install.operator.istio.io/owning-resource"] != "" && labels["install.operator.istio.io/owning-resource"] != "unknown":
		o.Tool = "istioctl (" + labels["install.operator.istio.io/owning-resource"] + ")"
	case len(obj.GetOwnerReferences()) > 0:
		o.Tool = obj.GetOwnerReferences()[0].Kind + " " + obj.GetOwnerReferences()[0].Name
	}
	return o
}

func (d describer) system(ctx context.Context, f *Found) error {
	var found corev1.Namespace
	err := d.c.Get(ctx, client.ObjectKey{Name: topology.SystemNamespace}, &found)
	if kube.Absent(err) {
		return nil
	}
	f.Network, f.ServedBy = found.Labels[topology.LabelNetwork], found.Annotations[topology.AnnotationControlPlanes]
	return d.c.Explain(err, "reading namespace "+topology.SystemNamespace)
}

// injection is what istiod tells its injector (templates/istiod-injector-configmap.yaml).
type injection struct {
	Global struct {
		MeshID       string `json:"meshID"`
		Network      string `json:"network"`
		MultiCluster struct {
			ClusterName string `json:"clusterName"`
		} `json:"multiCluster"`
	} `json:"global"`
}

// meshConfig is what is read of istiod's mesh configuration.
type meshConfig struct {
	TrustDomain   string `json:"trustDomain"`
	DefaultConfig struct {
		MeshID string `json:"meshId"`
	} `json:"defaultConfig"`
}

func (d describer) controls(ctx context.Context, f *Found) error {
	var list appsv1.DeploymentList
	if err := d.c.List(ctx, &list, client.MatchingLabels{"app": "istiod"}); err != nil {
		return d.c.Explain(err, "looking for control planes")
	}
	for i := range list.Items {
		istiod := &list.Items[i]
		p := FoundControl{
			Deployment: istiod.Name, Namespace: istiod.Namespace, Revision: topology.RevisionOf(istiod.Labels),
			Ready: istiod.Status.ReadyReplicas > 0, Origin: d.origin(istiod), Version: versionOf(istiod),
		}
		for _, container := range istiod.Spec.Template.Spec.Containers {
			for _, e := range container.Env {
				if e.Name == "CLUSTER_ID" {
					p.ClusterName = e.Value
				}
			}
		}
		suffix := ""
		if p.Revision != topology.DefaultRevision {
			suffix = "-" + p.Revision
		}
		if err := d.configured(ctx, istiod.Namespace, suffix, &p); err != nil {
			return err
		}
		f.Controls = append(f.Controls, p)
	}
	slices.SortFunc(f.Controls, func(a, b FoundControl) int {
		if (a.Revision == topology.DefaultRevision) != (b.Revision == topology.DefaultRevision) {
			return map[bool]int{true: -1, false: 1}[a.Revision == topology.DefaultRevision]
		}
		return strings.Compare(a.Revision, b.Revision)
	})
	return nil
}

// configured reads what a control plane was told, from the two ConfigMaps of its revision.
func (d describer) configured(ctx context.Context, namespace, suffix string, p *FoundControl) error {
	text := func(name, key string) (string, error) {
		var found corev1.ConfigMap
		err := d.c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &found)
		if kube.Absent(err) {
			return "", nil
		}
		return found.Data[key], d.c.Explain(err, "reading ConfigMap "+name)
	}
	mesh, err := text("istio"+suffix, "mesh")
	if err != nil {
		return err
	}
	values, err := text("istio-sidecar-injector"+suffix, "values")
	if err != nil {
		return err
	}
	// What is no YAML or JSON says nothing; istiod would not read it either.
	var config meshConfig
	_ = yaml.Unmarshal([]byte(mesh), &config)
	var injected injection
	_ = json.Unmarshal([]byte(values), &injected)
	p.TrustDomain = cmp.Or(config.TrustDomain, "cluster.local")
	p.MeshID = cmp.Or(injected.Global.MeshID, config.DefaultConfig.MeshID, p.TrustDomain)
	p.Network = injected.Global.Network
	p.ClusterName = cmp.Or(p.ClusterName, injected.Global.MultiCluster.ClusterName)
	return nil
}

func (d describer) roots(ctx context.Context, f *Found) error {
	roots, err := TrustedRoots(ctx, d.c)
	if err != nil {
		return err
	}
	if len(roots) > 0 {
		f.RootFrom = "secret " + topology.CACertsSecret
	} else {
		var given corev1.ConfigMap
		err := d.c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.RootCertConfigMap}, &given)
		if err != nil && !kube.Absent(err) {
			return d.c.Explain(err, "reading ConfigMap "+topology.RootCertConfigMap)
		}
		if roots, err = certs.ParseCertificates([]byte(given.Data["root-cert.pem"])); err != nil || len(roots) == 0 {
			return nil // nobody signs there yet
		}
		f.RootFrom = "istiod's own CA"
	}
	for _, root := range roots {
		f.Roots = append(f.Roots, certs.Fingerprint(root))
	}
	return nil
}

func (d describer) gateways(ctx context.Context, f *Found) error {
	var list corev1.ServiceList
	if err := d.c.List(ctx, &list, client.HasLabels{"istio"}); err != nil {
		return d.c.Explain(err, "listing gateways")
	}
	for i := range list.Items {
		s := &list.Items[i]
		if s.Labels["istio"] == "pilot" {
			continue
		}
		g := FoundGateway{Name: s.Name, Namespace: s.Namespace, Network: s.Labels[topology.LabelNetwork], Origin: d.origin(s)}
		for _, p := range s.Spec.Ports {
			g.CrossNetwork = g.CrossNetwork || p.Port == topology.PortCrossNetwork
		}
		for _, in := range s.Status.LoadBalancer.Ingress {
			if in.IP != "" {
				g.Addresses = append(g.Addresses, in.IP)
			} else if in.Hostname != "" {
				g.Hostnames = append(g.Hostnames, in.Hostname)
			}
		}
		g.Addresses = append(g.Addresses, s.Spec.ExternalIPs...)
		f.Gateways = append(f.Gateways, g)
	}
	return nil
}

func (d describer) peers(ctx context.Context, f *Found) error {
	var list corev1.SecretList
	if err := d.c.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{topology.LabelMultiCluster: "true"}); err != nil {
		return d.c.Explain(err, "listing remote secrets")
	}
	for i := range list.Items {
		f.Peers = append(f.Peers, slices.Collect(maps.Keys(list.Items[i].Data))...)
	}
	slices.Sort(f.Peers)
	return nil
}

func (d describer) definitions(ctx context.Context, f *Found) error {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(definitionKind.GroupVersion().WithKind("CustomResourceDefinitionList"))
	if err := d.c.List(ctx, &list); err != nil {
		return d.c.Explain(err, "listing definitions")
	}
	for i := range list.Items {
		if strings.HasSuffix(list.Items[i].Name, istioGroups) {
			f.Definitions++
		}
	}
	return nil
}

func (d describer) webhooks(ctx context.Context, f *Found) error {
	var mutating admissionv1.MutatingWebhookConfigurationList
	if err := d.c.List(ctx, &mutating); err != nil {
		return d.c.Explain(err, "listing webhooks")
	}
	var validating admissionv1.ValidatingWebhookConfigurationList
	if err := d.c.List(ctx, &validating); err != nil {
		return d.c.Explain(err, "listing webhooks")
	}
	var errs []error
	for i := range mutating.Items {
		config := &mutating.Items[i]
		w := Webhook{Kind: "MutatingWebhookConfiguration", Name: config.Name, Istio: config.Labels["app"] == "sidecar-injector", Origin: d.origin(config)}
		for _, one := range config.Webhooks {
			errs = append(errs, d.calls(ctx, &w, one.ClientConfig, one.FailurePolicy, one.Rules))
		}
		f.Webhooks = append(f.Webhooks, w)
	}
	for i := range validating.Items {
		config := &validating.Items[i]
		w := Webhook{Kind: "ValidatingWebhookConfiguration", Name: config.Name, Istio: config.Labels["istio"] == "istiod" || config.Labels["app"] == "istiod", Origin: d.origin(config)}
		for _, one := range config.Webhooks {
			errs = append(errs, d.calls(ctx, &w, one.ClientConfig, one.FailurePolicy, one.Rules))
		}
		f.Webhooks = append(f.Webhooks, w)
	}
	// Others than Istio's matter only where they stand in the way.
	f.Webhooks = slices.DeleteFunc(f.Webhooks, func(w Webhook) bool { return !w.Istio && (!w.Missing || !w.Blocks) })
	return errors.Join(errs...)
}

// calls notes whom one webhook of a configuration calls, and whether it is there.
func (d describer) calls(ctx context.Context, w *Webhook, to admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType, rules []admissionv1.RuleWithOperations) error {
	if to.Service == nil {
		return nil
	}
	w.Istio = w.Istio || strings.HasPrefix(to.Service.Name, "istiod")
	closed := policy == nil || *policy == admissionv1.Fail
	w.Blocks = w.Blocks || closed && slices.ContainsFunc(rules, func(r admissionv1.RuleWithOperations) bool {
		return slices.ContainsFunc(r.Resources, func(resource string) bool {
			return slices.Contains([]string{"*", "*/*", "pods", "namespaces", "services", "deployments", "secrets", "configmaps"}, resource)
		})
	})
	name := to.Service.Namespace + "/" + to.Service.Name
	if w.Service == name {
		return nil
	}
	w.Service = name
	err := d.c.Get(ctx, client.ObjectKey{Namespace: to.Service.Namespace, Name: to.Service.Name}, &corev1.Service{})
	if kube.Absent(err) {
		w.Missing = true
		return nil
	}
	return d.c.Explain(err, "looking for Service "+name+" of webhook "+w.Name)
}
