// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// own is a topology with a cluster of the user's own, which says more.
func own(t *testing.T, more string) *topology.Topology {
	t.Helper()
	tp, err := topology.Parse("t.yaml", []byte(`apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: usmesh}
spec:
  credentials: {lifetime: 24h, refresh: Manual}
  clusters:
  - {name: west}
  - {name: east, `+more+`}
`))
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

const (
	plain   = "provider: {kubeconfig: {context: prod}}"
	adopted = "provider: {kubeconfig: {context: prod, adopt: true}}"
	us      = "0123456789abcdef"
)

// empty is a cluster with a load balancer and nothing else.
func empty() Found {
	return Found{Cluster: "east", Kubernetes: "v1.36.3", Balancer: Balancer{Evidence: "Service shop/web has 203.0.113.5", Addresses: 1}}
}

func running(change func(*FoundControl)) Found {
	f := empty()
	p := FoundControl{Deployment: "istiod", Revision: "default", Version: "1.31.0", MeshID: "usmesh", ClusterName: "east", Network: "east-network",
		TrustDomain: "cluster.local", Ready: true, Origin: Origin{Release: "istio-system/istiod"}}
	if change != nil {
		change(&p)
	}
	f.Controls, f.Network, f.Roots, f.RootFrom = []FoundControl{p}, "east-network", []string{"SHA256:ab"}, "secret cacerts"
	f.Webhooks = []Webhook{{Kind: "MutatingWebhookConfiguration", Name: "istio-sidecar-injector", Service: "istio-system/istiod", Istio: true}}
	return f
}

func with(f Found, change func(*Found)) Found { change(&f); return f }

// TestFits: what was found, the file, and what is said about it; "" for nothing.
func TestFits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		found Found
		file  string
		want  string
		hint  string
	}{
		"an empty cluster":                 {empty(), plain, "", ""},
		"an old Kubernetes":                {with(empty(), func(f *Found) { f.Kubernetes = "v1.29.4-eks-1" }), plain, "Istio 1.31.0 supports Kubernetes 1.32 to 1.36, and this is v1.29.4-eks-1", "spec.istio.version"},
		"a newer Kubernetes than is known": {with(empty(), func(f *Found) { f.Kubernetes = "v1.40.1" }), plain, "", ""},
		"another topology":                 {with(empty(), func(f *Found) { f.Topology, f.Owner = "other", us }), plain, "it belongs to topology other", "meshfed down"},
		"another owner":                    {with(empty(), func(f *Found) { f.Topology, f.Owner = "usmesh", "fedcba9876543210" }), plain, "owner fedcba9876543210", "metadata.name"},
		"ours":                             {with(empty(), func(f *Found) { f.Topology, f.Owner = "usmesh", us }), plain, "", ""},
		"another network":                  {with(empty(), func(f *Found) { f.Network = "net9" }), plain, "topology.istio.io/network=net9", "network: net9"},
		"Istio there": {running(nil), plain,
			"Istio is there already: Istio 1.31.0 (revision default, mesh ID usmesh, cluster name east, network east-network, trust domain cluster.local), installed by Helm release istio-system/istiod; root SHA256:ab (from secret cacerts)",
			"adopt: true"},
		"Istio taken over":     {running(nil), adopted, "", ""},
		"Istio only checked":   {running(nil), plain + ", manage: {istio: false}", "", ""},
		"Istio that is ours":   {running(func(p *FoundControl) { p.Origin = Origin{Topology: "usmesh", Owner: us} }), plain, "", ""},
		"a wrong mesh ID":      {running(func(p *FoundControl) { p.MeshID = "mesh1" }), adopted, "the mesh ID mesh1, and the file says usmesh", "write mesh1 as spec.mesh.id"},
		"ours, hand-edited ID": {running(func(p *FoundControl) { p.MeshID, p.Origin = "mesh1", Origin{Topology: "usmesh", Owner: us} }), plain, "the mesh ID mesh1", ""},
		"a wrong cluster name": {running(func(p *FoundControl) { p.ClusterName = "Kubernetes" }), adopted, "the cluster name Kubernetes", ""},
		"a wrong trust domain": {running(func(p *FoundControl) { p.TrustDomain = "a.example" }), adopted, "the trust domain a.example", ""},
		"another minor":        {running(func(p *FoundControl) { p.Version = "1.30.4" }), adopted, "Istio 1.30.4, and the file says 1.31.0", "never changes a minor version"},
		"another patch":        {running(func(p *FoundControl) { p.Version = "1.31.9" }), adopted, "", ""},
		"another revision":     {running(func(p *FoundControl) { p.Revision = "canary" }), adopted, "there is another control plane", "spec.istio.revision: canary"},
		"a CA of its own":      {with(running(nil), func(f *Found) { f.RootFrom = "istiod's own CA" }), adopted, "signs with a CA of its own: root SHA256:ab", "plugged-in CA"},
		"checked and absent":   {empty(), plain + ", manage: {istio: false, cacerts: false}", "there is no istiod of revision default", "manage: {istio: true}"},
		"it waits for cacerts": {empty(), plain + ", manage: {istio: false, gateways: false}", "", ""},
		"no balancer":          {with(empty(), func(f *Found) { f.Balancer = Balancer{} }), plain, "nothing shows that there is a load balancer", "MetalLB"},
		"a pending Service":    {with(empty(), func(f *Found) { f.Balancer = Balancer{Pending: "shop/web"} }), plain, "Service shop/web waits for an address", "MetalLB"},
		"host names only":      {with(empty(), func(f *Found) { f.Balancer = Balancer{Evidence: "Service a/b has x.elb.example", Hostnames: 1} }), plain, "gives host names and no addresses", "eastWest: {addresses"},
		"host names and NAT":   {with(empty(), func(f *Found) { f.Balancer = Balancer{Evidence: "Service a/b has x.elb.example", Hostnames: 1} }), plain + ", eastWest: {addresses: [203.0.113.9]}", "", ""},
		"no balancer and NAT":  {with(empty(), func(f *Found) { f.Balancer = Balancer{} }), plain + ", loadBalancer: {type: None}, eastWest: {addresses: [203.0.113.9]}", "", ""},
		"no balancer, MetalLB": {with(empty(), func(f *Found) { f.Balancer = Balancer{} }), plain + ", loadBalancer: {type: MetalLB, addresses: [203.0.113.8/29]}", "", ""},
		"a stale injector": {with(empty(), func(f *Found) {
			f.Webhooks = []Webhook{{Kind: "MutatingWebhookConfiguration", Name: "istio-sidecar-injector", Service: "istio-system/istiod", Missing: true, Istio: true}}
		}), plain, "calls Service istio-system/istiod, which is not there", "kubectl delete mutatingwebhookconfiguration istio-sidecar-injector"},
		"another mesh's injector": {with(empty(), func(f *Found) {
			f.Webhooks = []Webhook{{Kind: "MutatingWebhookConfiguration", Name: "istio-sidecar-injector-x", Service: "mesh-x/istiod-x", Istio: true}}
		}), plain, "is of another Istio", "manage: {istio: false}"},
		"a policy that blocks": {with(empty(), func(f *Found) {
			f.Webhooks = []Webhook{{Kind: "ValidatingWebhookConfiguration", Name: "policy", Service: "p/q", Missing: true, Blocks: true}}
		}), plain, "calls Service p/q, which is not there", "bring that service back"},
		"somebody's gateway": {with(empty(), func(f *Found) {
			f.Gateways = []FoundGateway{{Name: "istio-eastwestgateway", Namespace: "istio-system", CrossNetwork: true, Addresses: []string{"203.0.113.7"}}}
		}), plain, "Service istio-system/istio-eastwestgateway is there already", "adopt: true"},
		"a gateway with a name": {with(empty(), func(f *Found) {
			f.Gateways = []FoundGateway{{Name: "istio-eastwestgateway", Namespace: "istio-system", CrossNetwork: true, Hostnames: []string{"x.elb.example"}}}
		}), adopted, "has only a host name, x.elb.example", "eastWest: {addresses"},
		"checked, no gateway": {empty(), plain + ", manage: {gateways: false}", "no gateway has port 15443", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := test.found.Fits(own(t, test.file), us)
			if test.want == "" {
				if len(errs) > 0 {
					t.Errorf("%v", errs)
				}
				return
			}
			err := errors.Join(errs...)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(strings.Join(diag.Hints(err), "\n"), test.hint) {
				t.Errorf("%v, hints %q; want %q and %q", err, diag.Hints(err), test.want, test.hint)
			}
			if len(errs) != 1 {
				t.Errorf("%d problems, want the one: %v", len(errs), errs)
			}
		})
	}
}

// TestFitsTellsAll: problems are told together, not one after the other.
func TestFitsTellsAll(t *testing.T) {
	t.Parallel()
	f := with(running(func(p *FoundControl) { p.MeshID = "mesh1" }), func(f *Found) { f.Network, f.Balancer = "net9", Balancer{} })
	if errs := f.Fits(own(t, adopted), us); len(errs) != 3 {
		t.Errorf("%d problems: %v", len(errs), errs)
	}
	f = with(empty(), func(f *Found) {
		f.Gateways = []FoundGateway{{Name: "istio-eastwestgateway", Namespace: "istio-system", Network: "net9", CrossNetwork: true, Hostnames: []string{"x.elb.example"}}}
	})
	if errs := f.Fits(own(t, plain), us); len(errs) != 3 {
		t.Errorf("of one gateway %d problems: %v", len(errs), errs)
	}
}
