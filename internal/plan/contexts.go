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
// in which files). It changes nothing. Passive reads no Secret, and less: enough for Topology, not
// for File. Errors of all contexts are told together.
func ReadContexts(ctx context.Context, contexts []string, passive bool) (Running, error) {
	describe := install.Describe
	if passive {
		describe = install.DescribeMesh
	}
	r := Running{Contexts: contexts, Found: make([]install.Found, len(contexts))}
	errs := make([]error, len(contexts))
	for i, name := range contexts {
		if slices.Contains(contexts[:i], name) {
			errs[i] = fmt.Errorf("context %s is named twice", name)
			continue
		}
		c, err := kube.Load(name, "", name)
		if err == nil {
			r.Found[i], err = describe(ctx, name, c)
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

// checkedOnly is the comment above a file that File writes.
const checkedOnly = `What was found running. Every layer is its owner's and only checked: manage: false. To let this
program take one over, set it to true, with provider: {kubeconfig: {adopt: true}} for the cluster.
`

// File is the topology file that describes the mesh, and what it loads as: every cluster is the
// user's own, by its context, and only checked. It is an error when the clusters are no one mesh,
// and by name for each thing that such a file can not say. All errors are told together.
func (r Running) File() ([]byte, *topology.Topology, error) {
	found, err := r.describe()
	if err != nil {
		return nil, nil, err
	}
	if err := r.sayable(); err != nil {
		return nil, nil, err
	}
	found.Spec.Discovery = r.discovery(found.Names())
	text, err := found.File(checkedOnly)
	if err != nil {
		return nil, nil, err
	}
	t, err := r.parse(text)
	if err != nil {
		return nil, nil, err
	}
	return text, t, r.gateways(t)
}

// Topology is the mesh as far as this version knows it, with less asked of it than File does, and
// everyone expected to know everyone: what is missing is for a proof to find. Set is as in
// topology.Load.
func (r Running) Topology(set ...string) (*topology.Topology, error) {
	found, err := r.describe()
	if err != nil {
		return nil, err
	}
	text, err := found.File("")
	if err != nil {
		return nil, err
	}
	// What runs may be older or newer than what would be installed.
	return r.parse(text, append([]string{"spec.istio.version=" + topology.IstioVersion}, set...)...)
}

func (r Running) parse(text []byte, set ...string) (*topology.Topology, error) {
	t, err := topology.Parse("contexts "+strings.Join(r.Contexts, ", "), text, set...)
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("the mesh that was found can not be described: %w", err), "write a topology file for it, and use -f")
	}
	return t, nil
}

// describe says what was found in the terms of the file.
func (r Running) describe() (*topology.Topology, error) {
	first, err := r.agree()
	if err != nil {
		return nil, err
	}
	t := topology.New(r.name(first.MeshID))
	t.Spec.Mesh.ID, t.Spec.Mesh.TrustDomain = first.MeshID, first.TrustDomain
	if r.Found[0].Strict {
		t.Spec.Mesh.MTLS = topology.MTLSStrict
	}
	t.Spec.Istio.Version = first.Version
	if first.Revision != "default" {
		t.Spec.Istio.Revision = first.Revision
	}
	for i := range r.Found {
		t.Spec.Clusters = append(t.Spec.Clusters, r.cluster(i))
	}
	return t, nil
}

// name is that of the topology that the clusters say they belong to, else one made of the mesh ID.
func (r Running) name(meshID string) string {
	for _, f := range r.Found {
		if f.Topology != "" {
			return f.Topology
		}
	}
	name := notLabel.ReplaceAllString(strings.ToLower(meshID), "-")
	return strings.Trim(name[:min(len(name), longestName)], "-")
}

// notLabel is what can not be in the name of a topology. The rest of the 49 characters that it may
// have is for the names of clusters.
var notLabel = regexp.MustCompile(`[^a-z0-9-]+`)

const longestName = 30

// agree refuses clusters that are no mesh; it returns the first one's control plane.
func (r Running) agree() (install.FoundControl, error) {
	var errs []error
	var first install.FoundControl
	names := map[string]string{}
	for i, f := range r.Found {
		if len(f.Controls) == 0 {
			errs = append(errs, r.withoutControl(i))
			continue
		}
		p := f.Controls[0]
		if other := names[p.ClusterName]; other != "" {
			errs = append(errs, diag.Hint(fmt.Errorf("contexts %s and %s are no mesh: both istiods call their cluster %q", other, r.Contexts[i], p.ClusterName),
				"each cluster of a mesh has a name of its own (global.multiCluster.clusterName)"))
		}
		names[p.ClusterName] = r.Contexts[i]
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

// withoutControl is the error about a cluster in which no istiod runs.
func (r Running) withoutControl(i int) error {
	by := r.Found[i].ServedBy
	if by == "" {
		return diag.Hint(fmt.Errorf("there is no istiod behind context %s", r.Contexts[i]), "leave it out: it is not in the mesh")
	}
	return diag.Hint(fmt.Errorf("there is no istiod behind context %s: the control plane of %s serves it, and remote clusters of your own can not be described yet", r.Contexts[i], by),
		"leave it out")
}

// cluster says what was found behind a context.
func (r Running) cluster(i int) topology.Cluster {
	f := r.Found[i]
	p := f.Controls[0]
	c := topology.NewCluster(p.ClusterName)
	c.Provider.Kubeconfig = &topology.KubeconfigProvider{Context: r.Contexts[i]}
	c.Network, c.Locality = cmp.Or(p.Network, f.Network), f.Locality
	if slices.ContainsFunc(f.Gateways, func(g install.FoundGateway) bool {
		return g.Namespace == topology.SystemNamespace && g.Name == topology.IngressGateway
	}) {
		c.Ingress = &topology.Ingress{}
	}
	c.Manage = topology.Manage{}
	return c
}

// discovery says who reads whom, by the remote secrets; nil when everyone reads everyone.
func (r Running) discovery(names []string) map[string][]string {
	all, knows := true, map[string][]string{}
	for i, name := range names {
		for _, other := range names {
			switch {
			case other == name:
			case slices.Contains(r.Found[i].Peers, other):
				knows[name] = append(knows[name], other)
			default:
				all = false
			}
		}
	}
	if all || len(knows) == 0 {
		return nil
	}
	return knows
}
