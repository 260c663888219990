// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// Fits lists all that stands against a cluster of the user's own becoming what the topology
// says: whose it is, what is there already and was not to be taken over, what does not match,
// who would be in the way. Owner is this topology's id, empty when it has none yet. It is a pure
// function of what was found; every error says what to do.
func (f Found) Fits(t *topology.Topology, owner string) []error {
	j := fitting{f: f, t: t, owner: owner, c: t.Cluster(f.Cluster)}
	if j.c == nil {
		return []error{fmt.Errorf("cluster %q is not in topology %s", f.Cluster, t.Metadata.Name)}
	}
	j.kubernetes()
	j.belongs()
	j.network()
	j.controls()
	j.gateways()
	j.webhooks()
	j.balancer()
	return j.errs
}

// fitting collects what stands against.
type fitting struct {
	f     Found
	t     *topology.Topology
	owner string
	c     *topology.Cluster
	errs  []error
}

func (j *fitting) no(hint, format string, args ...any) {
	j.errs = append(j.errs, diag.Hint(fmt.Errorf(format, args...), hint))
}

func (j *fitting) adopt() bool {
	return j.c.Provider.Kubeconfig != nil && j.c.Provider.Kubeconfig.Adopt
}

func (j *fitting) ours(o Origin) bool { return o.Ours(j.t.Metadata.Name, j.owner) }

func (j *fitting) kubernetes() {
	if refused, _ := topology.KubernetesFits(j.t.IstioRelease(), j.f.Kubernetes); refused != "" {
		j.no("bring Kubernetes to one of them, or write a spec.istio.version that supports it", "%s", refused)
	}
}

func (j *fitting) belongs() {
	switch {
	case j.f.Topology == "":
	case j.f.Topology != j.t.Metadata.Name:
		j.no("take it out of that one first: `meshfed down` where it was made", "it belongs to topology %s, owner %s", j.f.Topology, j.f.Owner)
	case j.owner != "" && j.f.Owner != j.owner:
		j.no("choose another metadata.name, or run `meshfed down` where that topology was made",
			"it belongs to another topology %s, owner %s, and this one's owner is %s", j.f.Topology, j.f.Owner, j.owner)
	}
}

func (j *fitting) network() {
	if j.f.Network != "" && j.f.Network != j.c.Network {
		j.no("write network: "+j.f.Network+" for the cluster, or change the label yourself",
			"namespace %s is labelled %s=%s, and the file says %s", topology.SystemNamespace, topology.LabelNetwork, j.f.Network, j.c.Network)
	}
}

// controls judges the istiods that are there: with manage.istio or adopt the one of the file's
// revision has to be what the file says; else none may be there that is not ours.
func (j *fitting) controls() {
	if !j.c.IsPrimary() {
		return
	}
	wanted := j.t.RevisionName()
	for _, p := range j.f.Controls {
		switch {
		case j.ours(p.Origin):
			j.matches(p)
		case p.Revision != wanted && j.c.Manage.Istio:
			j.no("meshfed installs one control plane in a cluster and takes over one of the same revision: write spec.istio.revision: "+p.Revision+", or remove it",
				"there is another control plane: %s", p)
		case p.Revision != wanted:
		case j.c.Manage.Istio && !j.adopt():
			j.no("`provider: {kubeconfig: {adopt: true}}` takes it over; `manage: {istio: false}` leaves it to whoever owns it, and only checks it",
				"Istio is there already: %s%s", p, j.root())
		default:
			j.matches(p)
		}
	}
	if !j.c.Manage.Istio && j.f.Control(wanted) == nil && !j.first() {
		j.no("install it, or write manage: {istio: true}", "manage.istio is false, and there is no istiod of revision %s", wanted)
	}
}

// first says that whoever owns Istio waits for the authority that is made here: what is not there
// yet can not be.
func (j *fitting) first() bool {
	return j.c.Manage.CACerts && !j.c.Manage.Istio && j.f.RootFrom == ""
}

func (j *fitting) root() string {
	if len(j.f.Roots) == 0 {
		return ""
	}
	return fmt.Sprintf("; root %s (from %s)", j.f.Roots[0], j.f.RootFrom)
}

// matches compares a control plane that stays with the file.
func (j *fitting) matches(p FoundControl) {
	for _, field := range []struct{ what, found, said, path string }{
		{"mesh ID", p.MeshID, j.t.Spec.Mesh.ID, "spec.mesh.id"},
		{"trust domain", p.TrustDomain, j.t.Spec.Mesh.TrustDomain, "spec.mesh.trustDomain"},
		{"cluster name", p.ClusterName, j.c.Name, "the cluster's name"},
		{"network", p.Network, j.c.Network, "the cluster's network"},
	} {
		if field.found != "" && field.found != field.said {
			j.no("write "+field.found+" as "+field.path+": it can not be changed on a live mesh",
				"its istiod has the %s %s, and the file says %s", field.what, field.found, field.said)
		}
	}
	if p.Version != "" && topology.Minor(p.Version) != topology.Minor(j.t.IstioRelease()) {
		j.no("meshfed never changes a minor version: upgrade it first, or write its version",
			"its istiod is Istio %s, and the file says %s", p.Version, j.t.IstioRelease())
	}
	if j.f.RootFrom != "" && j.f.RootFrom != "secret "+topology.CACertsSecret {
		j.no("move it to a plugged-in CA (secret cacerts) under the mesh's root first: taking it over as it is would break its workloads' trust",
			"its istiod signs with a CA of its own: root %s", strings.Join(j.f.Roots, ", "))
	}
}

func (j *fitting) gateways() {
	var cross []FoundGateway
	for _, g := range j.f.Gateways {
		if g.CrossNetwork {
			cross = append(cross, g)
		}
		named := g.Namespace == topology.SystemNamespace && (g.Name == topology.EastWestGateway || g.Name == topology.IngressGateway)
		if named && !j.ours(g.Origin) && j.c.Manage.Gateways && !j.adopt() {
			j.no("`provider: {kubeconfig: {adopt: true}}` takes it over; `manage: {gateways: false}` leaves it to whoever owns it",
				"Service %s/%s is there already, installed by %s", g.Namespace, g.Name, g.Origin)
		}
		if g.Network != "" && g.Network != j.c.Network {
			j.no("write that network for the cluster, or change the label", "Service %s/%s is the gateway of network %s, and the file says %s", g.Namespace, g.Name, g.Network, j.c.Network)
		}
		if g.CrossNetwork && len(g.Addresses) == 0 && len(g.Hostnames) > 0 && len(j.c.EastWest.Addresses) == 0 {
			j.no("write eastWest: {addresses: [...]} with addresses that the name has and keeps",
				"the gateway %s/%s has only a host name, %s, and proxies of the other networks need addresses", g.Namespace, g.Name, g.Hostnames[0])
		}
	}
	if !j.c.Manage.Gateways && j.t.HasEastWestGateway(j.c.Name) && len(cross) == 0 && !j.first() {
		j.no("install it, or write manage: {gateways: true}", "manage.gateways is false, and no gateway has port %d", topology.PortCrossNetwork)
	}
}

func (j *fitting) webhooks() {
	for _, w := range j.f.Webhooks {
		known := slices.ContainsFunc(j.f.Controls, func(p FoundControl) bool { return strings.HasSuffix(w.Service, "/"+p.Deployment) })
		switch {
		case w.Missing && (w.Blocks || w.Istio) && !j.ours(w.Origin):
			j.no("bring that service back, or remove it: kubectl delete "+strings.ToLower(w.Kind)+" "+w.Name,
				"%s %s calls Service %s, which is not there, and would refuse or spoil what is made here", w.Kind, w.Name, w.Service)
		case w.Istio && !known && !j.ours(w.Origin):
			j.no("remove it, or leave Istio in this cluster to whoever owns it: manage: {istio: false}",
				"%s %s is of another Istio (%s calls %s)", w.Kind, w.Name, w.Origin, cmp.Or(w.Service, "another cluster"))
		}
	}
}

// balancer asks for one only where a gateway needs an address that nobody has given it.
func (j *fitting) balancer() {
	if j.c.LoadBalancer.Type != topology.LoadBalancerExisting {
		return
	}
	eastWest := j.t.HasEastWestGateway(j.c.Name) && len(j.c.EastWest.Addresses) == 0
	if !j.c.Manage.Gateways || !eastWest && j.c.Ingress == nil {
		return
	}
	b := j.f.Balancer
	const ways = "install a load balancer; or write loadBalancer: {type: MetalLB, addresses: [...]}; or {type: None} and eastWest: {addresses: [...]}"
	switch {
	case b.Evidence == "" && b.Pending != "":
		j.no(ways, "there is no load balancer: Service %s waits for an address", b.Pending)
	case b.Evidence == "":
		j.no(ways+"; one that is not recognised here is believed as soon as any Service has an address of it",
			"nothing shows that there is a load balancer, and the gateways need addresses")
	case b.Hostnames > 0 && b.Addresses == 0 && eastWest:
		j.no("write eastWest: {addresses: [...]} with addresses that the gateway's name will have and keep",
			"its load balancer gives host names and no addresses (%s), and proxies of the other networks need addresses", b.Evidence)
	}
}
