// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Running is a mesh that was found by the kubeconfig contexts of its clusters.
type Running struct {
	// Contexts, and what was found behind each, in the same order.
	Contexts []string
	Found    []install.Found
}

// ReadContexts looks at the clusters of the user's kubeconfig contexts (kubectl's own rules say
// in which files). It changes nothing. Errors of all contexts are told together.
func ReadContexts(ctx context.Context, contexts []string) (Running, error) {
	r := Running{Contexts: contexts, Found: make([]install.Found, len(contexts))}
	errs := make([]error, len(contexts))
	for i, name := range contexts {
		if slices.Contains(contexts[:i], name) {
			errs[i] = fmt.Errorf("context %s is named twice", name)
			continue
		}
		c, err := kube.Load(name, "", name)
		if err == nil {
			r.Found[i], err = install.Describe(ctx, name, c)
		}
		errs[i] = err
	}
	return r, errors.Join(errs...)
}

// Owner is the id of the topology that the clusters say they belong to; empty when none does.
func (r Running) Owner() string {
	for _, f := range r.Found {
		if f.Owner != "" {
			return f.Owner
		}
	}
	return ""
}

// File writes the topology file that describes the mesh: every cluster is the user's own, by its
// context. What is not this program's is only checked (manage: false). It is an error when the
// clusters can not be one mesh, or when one has no control plane of its own.
func (r Running) File() ([]byte, error) {
	first, err := r.agree()
	if err != nil {
		return nil, err
	}
	name := notLabel.ReplaceAllString(strings.ToLower(first.MeshID), "-")
	istio := map[string]any{"version": first.Version}
	if first.Revision != "default" {
		istio["revision"] = first.Revision
	}
	mesh := map[string]any{"id": first.MeshID, "trustDomain": first.TrustDomain}
	if r.Found[0].Strict {
		mesh["mtls"] = topology.MTLSStrict
	}
	clusters := make([]any, len(r.Found))
	for i, f := range r.Found {
		if f.Topology != "" {
			name = f.Topology
		}
		clusters[i] = clusterOf(f, f.Controls[0], r.Contexts[i])
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": topology.APIVersion, "kind": topology.Kind, "metadata": map[string]any{"name": strings.Trim(name, "-")},
		"spec": map[string]any{
			"mesh":        mesh,
			"istio":       istio,
			"credentials": map[string]any{"lifetime": "720h", "refresh": topology.RefreshManual},
			"clusters":    clusters,
		},
	})
}

// notLabel is what can not be in the name of a topology.
var notLabel = regexp.MustCompile(`[^a-z0-9-]+`)

// agree refuses clusters that are no mesh; it returns the first one's control plane.
func (r Running) agree() (install.FoundControl, error) {
	var errs []error
	var first install.FoundControl
	for i, f := range r.Found {
		if len(f.Controls) == 0 {
			errs = append(errs, diag.Hint(fmt.Errorf("there is no istiod behind context %s", r.Contexts[i]),
				"remote clusters, whose control plane is elsewhere, are not recognised without a file yet: name them in one, with primary:"))
			continue
		}
		p := f.Controls[0]
		if first == (install.FoundControl{}) {
			first = p
			continue
		}
		for _, field := range []struct{ what, first, this string }{{"mesh ID", first.MeshID, p.MeshID}, {"trust domain", first.TrustDomain, p.TrustDomain}} {
			if field.first != field.this {
				errs = append(errs, fmt.Errorf("contexts %s and %s are no mesh: the %s is %s in one and %s in the other", r.Contexts[0], r.Contexts[i], field.what, field.first, field.this))
			}
		}
	}
	return first, errors.Join(errs...)
}

func clusterOf(f install.Found, p install.FoundControl, context string) map[string]any {
	c := map[string]any{
		"name": p.ClusterName, "network": cmp.Or(p.Network, f.Network),
		"provider": map[string]any{"kubeconfig": map[string]any{"context": context}},
	}
	if c["network"] == "" {
		delete(c, "network")
	}
	if slices.ContainsFunc(f.Gateways, func(g install.FoundGateway) bool {
		return g.Namespace == topology.SystemNamespace && g.Name == topology.IngressGateway
	}) {
		c["ingress"] = map[string]any{}
	}
	if !p.Origin.Ours(f.Topology, f.Owner) {
		c["manage"] = map[string]any{"istio": false, "gateways": false, "cacerts": false, "remoteSecrets": false}
	}
	return c
}

// Topology is what File describes, as far as this version knows it; set is as in topology.Load.
func (r Running) Topology(set ...string) (*topology.Topology, error) {
	data, err := r.File()
	if err != nil {
		return nil, err
	}
	// What runs may be older or newer than what would be installed.
	set = append([]string{"spec.istio.version=" + topology.IstioVersion}, set...)
	t, err := topology.Parse("contexts "+strings.Join(r.Contexts, ", "), data, set...)
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("the mesh that was found can not be described: %w", err), "write a topology file for it, and use -f")
	}
	return t, nil
}
