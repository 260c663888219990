// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// The stages in which manifests are applied: everything of one is there, and ready, before the
// next one begins. The numbers are Argo CD's sync waves as well.
const (
	stageDefinitions  = "10-definitions"
	stageControlPlane = "20-control-plane"
	stageGateways     = "30-gateways"
	stageMesh         = "40-mesh"
)

// annotationWave tells Argo CD the order
// (https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/); nothing else reads it.
const annotationWave = "argocd.argoproj.io/sync-wave"

// Manifest is one file of manifests of a cluster.
type Manifest struct {
	// Cluster and Stage are the folders in which it lies; Name is its own, without .yaml.
	Cluster, Stage, Name string
	// Objects in the order in which they are applied.
	Objects []*unstructured.Unstructured
}

// Path is where it lies, with slashes.
func (m Manifest) Path() string { return m.Cluster + "/" + m.Stage + "/" + m.Name + ".yaml" }

// Omission is something that `up` makes in a cluster and that no manifest holds.
type Omission struct {
	Cluster string `json:"cluster"`
	// What it is.
	What string `json:"what"`
	// Why it is not there.
	Why string `json:"why"`
}

// Rendering is a topology as manifests.
type Rendering struct {
	Manifests []Manifest
	Omitted   []Omission
}

// Render makes manifests of every step of Up that has some, in the order of the steps. It asks
// no cluster and no engine, and a network only for charts that are neither built in nor at hand;
// the same topology gives the same manifests. They carry the topology's label and no owner's:
// whoever applies them owns them. No Secret is among them.
func Render(ctx context.Context, m *Mesh) (Rendering, error) {
	r := renderer{m: m, in: m.install(), bases: map[string][]*unstructured.Unstructured{}}
	for _, s := range inOrder(Up(m)) {
		kind, where, _ := strings.Cut(s.ID, "@")
		if err := r.step(ctx, kind, where); err != nil {
			return Rendering{}, diag.Op(err, s.Cluster, "rendering "+s.Title)
		}
	}
	order := m.Selected()
	slices.SortStableFunc(r.made.Manifests, func(a, b Manifest) int {
		if a.Cluster != b.Cluster {
			return slices.Index(order, a.Cluster) - slices.Index(order, b.Cluster)
		}
		return strings.Compare(a.Stage, b.Stage)
	})
	return r.made, nil
}

// renderer collects manifests.
type renderer struct {
	m    *Mesh
	in   install.Mesh
	made Rendering
	// bases are Istio's definitions by release of Kubernetes: a megabyte that is the same for
	// every cluster.
	bases map[string][]*unstructured.Unstructured
}

// step renders one step of Up. A step that it does not know is an error: what is left out is
// left out on purpose.
func (r *renderer) step(ctx context.Context, kind, where string) error {
	if field := unmanaged(r.m.Topology.Cluster(where), kind); field != "" {
		r.omit(where, kind, "manage."+field+" is false: whoever owns it applies it")
		return nil
	}
	var part install.Renderer
	stage := stageControlPlane
	switch kind {
	case "host", "roots", "root", "network", "node-image", "cluster", "images", "probe-image", "owner", "node-labels":
		return nil // the clusters and what is on this host; a cluster of GitOps is nobody's of ours
	case "prune", "synced", "injection":
		return nil // nothing is applied
	case "cacerts", "remote-secret", "istio-kubeconfig", "pull-secret", "routes":
		r.omitOther(kind, where)
		return nil
	case "loadbalancer":
		if r.m.Topology.Cluster(where).LoadBalancer.Type != topology.LoadBalancerMetalLB {
			return nil // one that the file no longer asks for goes
		}
		addresses := r.m.Topology.Cluster(where).LoadBalancer.Addresses
		if len(addresses) == 0 {
			r.omit(where, "MetalLB", "its addresses follow from the container network, which only a host knows; written into loadBalancer.addresses they are rendered")
			return nil
		}
		chart, err := r.m.metallbChart(ctx)
		if err != nil {
			return err
		}
		part = install.MetalLB{Mesh: r.in, Chart: chart, Addresses: addresses, IgnoreExcluded: r.m.existing(where)}
	case "namespace":
		part = install.SystemNamespace{Mesh: r.in}
	case "namespaces":
		part = install.Namespaces{Mesh: r.in}
	case "istio-base":
		part = once{install.IstioBase{Mesh: r.in}, r.bases}
	case "istiod":
		part = install.Istiod{Mesh: r.in}
	case "istiod-remote":
		primary := r.m.Topology.Cluster(r.m.Topology.Primary(where))
		if len(primary.EastWest.Addresses) == 0 {
			r.omit(where, "what leads to the istiod of "+primary.Name, "its address is known once the cluster has one; written into eastWest.addresses of "+primary.Name+" it is rendered")
			return nil
		}
		part = install.RemoteIstiod{Mesh: r.in, Address: primary.EastWest.Addresses[0]}
	case "serve":
		part = install.ExternalService{Mesh: r.in}
	case "expose-istiod":
		for _, object := range r.m.istiodExposure().Objects() {
			u, err := kube.Manifest(object)
			if err != nil {
				return err
			}
			r.add(where, stageMesh, kind, []*unstructured.Unstructured{u})
		}
		return nil
	case "ingress":
		part, stage = install.IngressGateway{Mesh: r.in}, stageGateways
	case "eastwest":
		part, stage = install.EastWestGateway{Mesh: r.in}, stageGateways
	case "mtls":
		part, stage = install.MeshMTLS{Mesh: r.in}, stageMesh
	case "expose":
		gateway, err := kube.Manifest(r.m.exposure(where).Gateway())
		if err == nil {
			r.add(where, stageMesh, kind, []*unstructured.Unstructured{gateway})
		}
		return err
	default:
		return errors.New("nobody has said how this step is rendered")
	}
	objects, err := part.Render(ctx, install.Target{Cluster: where, Kubernetes: r.m.release(where)})
	if err == nil {
		r.add(where, stage, kind, objects)
	}
	return err
}

// once renders a part that is the same in every cluster no more than once.
type once struct {
	install.IstioBase
	made map[string][]*unstructured.Unstructured
}

func (o once) Render(ctx context.Context, t install.Target) ([]*unstructured.Unstructured, error) {
	if objects, ok := o.made[t.Kubernetes]; ok {
		return objects, nil
	}
	objects, err := o.IstioBase.Render(ctx, t)
	if err == nil {
		o.made[t.Kubernetes] = objects
	}
	return objects, err
}

// add sorts objects into files: namespaces and definitions come before everything else, since
// kubectl knows only kinds that are served when it begins.
func (r *renderer) add(cluster, stage, name string, objects []*unstructured.Unstructured) {
	for _, u := range objects {
		at, file := stage, name
		switch u.GetKind() {
		case "Namespace":
			at, file = stageDefinitions, "namespaces"
		case "CustomResourceDefinition":
			at, file = stageDefinitions, "definitions"
		case "Secret":
			r.omit(cluster, "Secret "+u.GetNamespace()+"/"+u.GetName(), "a chart makes it, and no Secret is rendered")
			continue
		}
		labels, annotations := u.GetLabels(), u.GetAnnotations()
		delete(labels, topology.LabelOwner)
		u.SetLabels(labels)
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotationWave], _, _ = strings.Cut(at, "-")
		u.SetAnnotations(annotations)
		r.file(cluster, at, file, u)
	}
}

func (r *renderer) file(cluster, stage, name string, u *unstructured.Unstructured) {
	for i, have := range r.made.Manifests {
		if have.Cluster == cluster && have.Stage == stage && have.Name == name {
			r.made.Manifests[i].Objects = append(have.Objects, u)
			return
		}
	}
	r.made.Manifests = append(r.made.Manifests, Manifest{Cluster: cluster, Stage: stage, Name: name, Objects: []*unstructured.Unstructured{u}})
}

func (r *renderer) omitOther(kind, where string) {
	from, to, _ := strings.Cut(where, ":")
	switch kind {
	case "cacerts":
		r.omit(from, "Secret "+topology.SystemNamespace+"/"+topology.CACertsSecret, "it holds the key of an intermediate CA; istiod waits until it is there")
	case "remote-secret":
		r.omit(from, "Secret "+topology.SystemNamespace+"/"+topology.RemoteSecretName(to), "it holds a token for the API of "+to)
	case "routes":
		r.omit(from, "Routes to the pods of "+to, "nodes have them and the API has not: in one network pods must reach each other already")
	case "istio-kubeconfig":
		r.omit(from, "Secret "+topology.SystemNamespace+"/"+topology.IstiodKubeconfigSecret, "it holds a token for the API of "+to)
	case "pull-secret":
		r.omit(from, "Secret "+r.m.Topology.Spec.Images.PullSecret, "it holds a login")
	}
}

func (r *renderer) omit(cluster, what, why string) {
	r.made.Omitted = append(r.made.Omitted, Omission{Cluster: cluster, What: what, Why: why})
}

// releaseForm is a release of Kubernetes in a version or in the name of a node image.
var releaseForm = regexp.MustCompile(`^(?:.*:v)?([0-9]+\.[0-9]+\.[0-9]+)(?:@.*)?$`)

// release is the Kubernetes that the file says a cluster has; empty when it does not.
func (m *Mesh) release(cluster string) string {
	found := releaseForm.FindStringSubmatch(m.kubernetes(cluster))
	if found == nil {
		return ""
	}
	return found[1]
}

// holds says in a few words what a manifest has, for those who read the list.
func (m Manifest) holds() string {
	counts := map[string]int{}
	var kinds []string
	for _, u := range m.Objects {
		if counts[u.GetKind()]++; counts[u.GetKind()] == 1 {
			kinds = append(kinds, u.GetKind())
		}
	}
	for i, kind := range kinds {
		if n := counts[kind]; n > 1 {
			kinds[i] = fmt.Sprintf("%d %s", n, kind)
		}
	}
	return strings.Join(kinds, ", ")
}
