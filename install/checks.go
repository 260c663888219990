// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// The checks stand in place of parts that somebody else owns (manage: false in the file). Look
// says none when what is there will do, else what is missing; there is no Do.

// OthersNamespace is an istio-system that somebody else labels.
type OthersNamespace struct{ Mesh }

// Look asks for the label of the file's network. Where nobody crosses networks it may be missing.
func (n OthersNamespace) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	cluster, err := n.cluster(c)
	if err != nil {
		return graph.Change{}, err
	}
	if !cluster.IsPrimary() || cluster.IsExternal() {
		return SystemNamespace(n).Look(ctx, c)
	}
	var found corev1.Namespace
	err = c.Get(ctx, client.ObjectKey{Name: topology.SystemNamespace}, &found)
	if kube.Absent(err) {
		return graph.Change{Action: graph.Create, Reason: "there is no namespace " + topology.SystemNamespace}, nil
	}
	if err != nil {
		return graph.Change{}, c.Explain(err, "reading namespace "+topology.SystemNamespace)
	}
	label := found.Labels[topology.LabelNetwork]
	if label == cluster.Network || label == "" && !n.Topology.CrossesNetworks(c.Cluster) {
		return graph.Change{Action: graph.None}, nil
	}
	return graph.Change{Action: graph.Update, Reason: fmt.Sprintf("namespace %s is labelled %s=%q, not %s", topology.SystemNamespace, topology.LabelNetwork, label, cluster.Network)}, nil
}

// OthersIstio is a control plane that somebody else owns.
type OthersIstio struct{ Mesh }

// Look asks for a ready istiod of the file's revision with the file's identity.
func (i OthersIstio) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	cluster, err := i.cluster(c)
	if err != nil {
		return graph.Change{}, err
	}
	d, f := describer{c: c, releases: map[string]Origin{}}, Found{Cluster: c.Cluster}
	for _, part := range []func(context.Context, *Found) error{d.helm, d.controls, d.roots} {
		if err := part(ctx, &f); err != nil {
			return graph.Change{}, err
		}
	}
	p := f.Control(i.Topology.RevisionName())
	if p == nil {
		return graph.Change{Action: graph.Create, Reason: "there is no istiod of revision " + i.Topology.RevisionName()}, nil
	}
	j := fitting{f: f, t: i.Topology, owner: i.Owner, c: cluster}
	if j.matches(*p); len(j.errs) > 0 {
		return graph.Change{}, errors.Join(j.errs...)
	}
	if !p.Ready {
		return graph.Change{Action: graph.Update, Reason: "no replica of " + p.Deployment + " is ready"}, nil
	}
	if ready, state, err := i.webhook(ctx, c, nil); err != nil || !ready {
		return graph.Change{Action: graph.Update, Reason: state}, err
	}
	if missing, err := i.untold(ctx, c); err != nil || missing != "" {
		return graph.Change{Action: graph.Update, Reason: "its meshNetworks do not name the gateway " + missing}, err
	}
	return graph.Change{Action: graph.None, Reason: p.String()}, nil
}

// untold is a gateway address of the file that the istiod was not told of; "" for none.
func (i OthersIstio) untold(ctx context.Context, c *kube.Client) (string, error) {
	var found corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: i.Topology.Revisioned("istio")}, &found)
	if err != nil && !kube.Absent(err) {
		return "", c.Explain(err, "reading ConfigMap "+i.Topology.Revisioned("istio"))
	}
	// The words of its YAML, or JSON: an address may begin as another one does.
	told := strings.FieldsFunc(found.Data["meshNetworks"], func(r rune) bool { return strings.ContainsRune(" \t\n\"',[]{}", r) })
	for _, other := range i.Topology.Spec.Clusters {
		for _, address := range other.EastWest.Addresses {
			if other.Name != c.Cluster && !slices.Contains(told, address) {
				return address, nil
			}
		}
	}
	return "", nil
}

// OthersDefinitions are Istio's custom resources, which somebody else installs.
type OthersDefinitions struct{ Mesh }

// Look asks for the definitions of what this program makes in a mesh.
func (OthersDefinitions) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	for _, name := range []string{"gateways.networking.istio.io", "virtualservices.networking.istio.io", "peerauthentications.security.istio.io"} {
		var found metav1.PartialObjectMetadata
		found.SetGroupVersionKind(definitionKind)
		err := c.Get(ctx, client.ObjectKey{Name: name}, &found)
		if kube.Absent(err) {
			return graph.Change{Action: graph.Create, Reason: "there is no definition " + name}, nil
		}
		if err != nil {
			return graph.Change{}, c.Explain(err, "reading definition "+name)
		}
	}
	return graph.Change{Action: graph.None}, nil
}

// OthersCACerts is a certificate authority that somebody else puts there.
type OthersCACerts struct{ CACerts }

// Look asks for a valid secret cacerts, under the topology's root where there is one.
func (a OthersCACerts) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	secret, err := readCACerts(ctx, c)
	if err != nil || secret == nil {
		return graph.Change{Action: graph.Create, Reason: "there is no secret " + topology.CACertsSecret + " in " + topology.SystemNamespace}, err
	}
	if _, err := a.Root(); !errors.Is(err, fs.ErrNotExist) {
		_, err := a.accept(c, secret)
		return graph.Change{Action: graph.None}, err
	}
	found, err := certs.ParseCACerts(secret.Data)
	if err == nil {
		err = found.Check(a.now())
	}
	return graph.Change{Action: graph.None}, diag.Op(err, c.Cluster, "looking at cacerts")
}

// OthersGateway is a gateway that somebody else owns, under the name that Istio's guide gives it.
type OthersGateway struct {
	Mesh
	// Name of the Service in istio-system, Selector the label "istio" of its pods, and Port what it
	// must have.
	Name, Selector string
	Port           int32
}

// Look asks for the Service with its port and an address, and for a ready pod.
func (g OthersGateway) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	cluster, err := g.cluster(c)
	if err != nil {
		return graph.Change{}, err
	}
	missing := func(format string, args ...any) (graph.Change, error) {
		return graph.Change{Action: graph.Update, Reason: fmt.Sprintf(format, args...)}, nil
	}
	var found corev1.Service
	err = c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: g.Name}, &found)
	switch {
	case kube.Absent(err):
		return missing("there is no Service %s/%s", topology.SystemNamespace, g.Name)
	case err != nil:
		return graph.Change{}, c.Explain(err, "reading Service "+g.Name)
	case !slices.ContainsFunc(found.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == g.Port }):
		return missing("Service %s has no port %d", g.Name, g.Port)
	}
	if network := found.Labels[topology.LabelNetwork]; g.Port == topology.PortCrossNetwork && network != cluster.Network && len(cluster.EastWest.Addresses) == 0 {
		return missing("Service %s is labelled %s=%q, not %s", g.Name, topology.LabelNetwork, network, cluster.Network)
	}
	if len(cluster.EastWest.Addresses) == 0 && len(found.Spec.ExternalIPs) == 0 {
		if address, state, err := Address(ctx, c, g.Name); err != nil || address == "" {
			return graph.Change{Action: graph.Update, Reason: state}, err
		}
	}
	pods, err := c.Pods(ctx, topology.SystemNamespace, map[string]string{"istio": g.Selector})
	if err != nil {
		return graph.Change{}, err
	}
	if !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return kube.PodReady(&p) }) {
		return missing("no pod with the label istio=%s is ready", strings.TrimSpace(g.Selector))
	}
	return graph.Change{Action: graph.None}, nil
}
