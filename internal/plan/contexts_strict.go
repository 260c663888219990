// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// sayable refuses, by name, what was found and a topology file can not say; a plan of it would be
// an error too.
func (r Running) sayable() error {
	var errs []error
	for i, f := range r.Found {
		errs = append(errs, r.oneIstio(i), r.asFirst(i))
		if f.Ambient {
			errs = append(errs, diag.Hint(fmt.Errorf("ztunnel runs behind context %s: ambient meshes can not be described", r.Contexts[i]), "only meshes of sidecars are built"))
		}
	}
	if len(r.Found) > 1 && !slices.ContainsFunc(r.Found, func(f install.Found) bool { return len(f.Peers) > 0 }) {
		errs = append(errs, diag.Hint(fmt.Errorf("contexts %s are no mesh: none of them has a remote secret", strings.Join(r.Contexts, ", ")), "`meshfed init` without --from-contexts begins a mesh of them"))
	}
	return errors.Join(errs...)
}

// oneIstio refuses what is not one istiod in istio-system with a plugged-in CA and a network.
func (r Running) oneIstio(i int) error {
	f, context := r.Found[i], r.Contexts[i]
	p := f.Controls[0]
	var errs []error
	no := func(hint, format string, args ...any) {
		errs = append(errs, diag.Hint(fmt.Errorf(format, args...), hint))
	}
	if len(f.Controls) > 1 {
		revisions := make([]string, len(f.Controls))
		for n, each := range f.Controls {
			revisions[n] = each.Revision
		}
		no("remove all but one", "there are %d control planes behind context %s (revisions %s), and the file describes one", len(f.Controls), context, strings.Join(revisions, ", "))
	}
	if p.Namespace != topology.SystemNamespace {
		no("only that one is known here", "istiod is in namespace %s behind context %s, not in %s", p.Namespace, context, topology.SystemNamespace)
	}
	network := cmp.Or(p.Network, f.Network)
	switch {
	case network == "" && len(r.Found) > 1:
		no("say it to istiod (global.network) and label namespace "+topology.SystemNamespace+" with "+topology.LabelNetwork, "nothing says the network behind context %s", context)
	case f.Network != "" && f.Network != network:
		no("make them alike", "istiod behind context %s has network %s, and namespace %s is labelled %s", context, p.Network, topology.SystemNamespace, f.Network)
	}
	if f.RootFrom != "secret "+topology.CACertsSecret {
		no("plug in a CA (secret cacerts) under the mesh's root", "there is no secret %s behind context %s, and the file describes control planes that have one", topology.CACertsSecret, context)
	}
	return errors.Join(errs...)
}

// asFirst refuses what the file says once for all clusters, and is different in this one.
func (r Running) asFirst(i int) error {
	a, b := r.Found[0], r.Found[i]
	differ := func(what, one, other string) error {
		return fmt.Errorf("%s is %s behind context %s and %s behind context %s, and the file says it once", what, one, r.Contexts[0], other, r.Contexts[i])
	}
	mode := map[bool]string{true: topology.MTLSStrict, false: topology.MTLSPermissive}
	var errs []error
	if one, other := a.Controls[0].Revision, b.Controls[0].Revision; one != other {
		errs = append(errs, differ("the revision", one, other))
	}
	if one, other := a.Controls[0].Version, b.Controls[0].Version; topology.Minor(one) != topology.Minor(other) {
		errs = append(errs, differ("Istio's version", one, other))
	}
	if a.Strict != b.Strict {
		errs = append(errs, differ("the mesh-wide mutual TLS mode", mode[a.Strict], mode[b.Strict]))
	}
	if a.Topology != "" && b.Topology != "" && (a.Topology != b.Topology || a.Owner != b.Owner) {
		errs = append(errs, differ("the owner", a.Topology+" "+a.Owner, b.Topology+" "+b.Owner))
	}
	if !slices.ContainsFunc(a.Roots, func(root string) bool { return slices.Contains(b.Roots, root) }) && len(a.Roots) > 0 && len(b.Roots) > 0 {
		errs = append(errs, differ("the root", a.Roots[0], b.Roots[0]))
	}
	return errors.Join(errs...)
}

// gateways refuses networks that are reached through a gateway of another name than that of
// Istio's guide.
func (r Running) gateways(t *topology.Topology) error {
	var errs []error
	for i, name := range t.Names() {
		if t.HasEastWestGateway(name) && !slices.ContainsFunc(r.Found[i].Gateways, func(g install.FoundGateway) bool {
			return g.Namespace == topology.SystemNamespace && g.Name == topology.EastWestGateway && g.CrossNetwork
		}) {
			errs = append(errs, diag.Hint(fmt.Errorf("there is no Service %s/%s with port %d behind context %s, and the clusters are in different networks",
				topology.SystemNamespace, topology.EastWestGateway, topology.PortCrossNetwork, r.Contexts[i]), "a gateway of another name can not be described"))
		}
	}
	return errors.Join(errs...)
}

// Notes tells what is worth a look in the mesh that File described as t, one line each: the
// control planes, who shares a network, and who else is read.
func (r Running) Notes(t *topology.Topology) []string {
	var notes []string
	networks := map[string][]string{}
	for i, name := range t.Names() {
		for _, p := range r.Found[i].Controls {
			notes = append(notes, r.Contexts[i]+": "+p.String())
		}
		for _, peer := range r.Found[i].Peers {
			if t.Cluster(peer) == nil {
				notes = append(notes, fmt.Sprintf("%s has a remote secret for %s, which is not among the contexts and not in the file", r.Contexts[i], peer))
			}
		}
		network := t.Cluster(name).Network
		networks[network] = append(networks[network], name)
	}
	for i, name := range t.Names() {
		network := t.Cluster(name).Network
		if sharing := networks[network]; len(sharing) > 1 && sharing[0] == name {
			notes = append(notes, fmt.Sprintf("%s share network %s, as %s says: their pods have to reach each other without a gateway", strings.Join(sharing, " and "), network, r.Contexts[i]))
		}
	}
	return notes
}
