// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDefaults checks what the comments of the types promise, one by one; the golden files
// show the whole.
func TestDefaults(t *testing.T) {
	t.Parallel()
	topology := topologyOf(t, "west", "east")
	spec, west := topology.Spec, topology.Spec.Clusters[0]
	for what, test := range map[string]struct{ got, want any }{
		"mesh":                   {spec.Mesh, Mesh{ID: "demo", TrustDomain: "cluster.local", MTLS: MTLSPermissive}},
		"istio":                  {spec.Istio, Istio{Profile: "default"}},
		"images":                 {spec.Images, Images{}},
		"root":                   {spec.Certificates.Root, Root{Generate: &KeySpec{Algorithm: "ECDSA-P256", Lifetime: Duration(87600 * time.Hour)}, Keep: KeepFile}},
		"intermediate":           {spec.Certificates.Intermediate, Intermediate{Algorithm: "ECDSA-P256", Lifetime: Duration(17520 * time.Hour)}},
		"credentials":            {spec.Credentials, Credentials{Lifetime: Duration(720 * time.Hour), Refresh: RefreshManual}},
		"containerNetwork":       {spec.ContainerNetwork, ""},
		"namespaces":             {spec.Namespaces, []Namespace(nil)},
		"proxies":                {spec.Verify.Proxies, 20},
		"failover":               {spec.Verify.Failover, Failover{Rate: 20, Within: Duration(10 * time.Second), LostAtMost: 40, BackWithin: Duration(time.Minute)}},
		"probe":                  {spec.Verify.Probe, Probe{Namespace: "meshfed-verify"}},
		"suites":                 {spec.Verify.Suites, []string(nil)},
		"provider.kind.nodes":    {west.Provider.Kind.Nodes, []Node{{Role: RoleControlPlane}}},
		"provider.kubeconfig":    {west.Provider.Kubeconfig, (*KubeconfigProvider)(nil)},
		"network":                {west.Network, "west-network"},
		"primary":                {west.Primary, "west"},
		"config":                 {west.Config, "west"},
		"loadBalancer":           {west.LoadBalancer, LoadBalancer{Type: LoadBalancerMetalLB}},
		"ingress":                {west.Ingress, (*Ingress)(nil)},
		"eastWest":               {west.EastWest, EastWest{Replicas: 1, Service: EastWestService{Type: ServiceLoadBalancer}}},
		"apiServer":              {west.APIServer, APIServer{}},
		"manage":                 {west.Manage, Manage{Istio: true, Gateways: true, CACerts: true, RemoteSecrets: true}},
		"the second's network":   {spec.Clusters[1].Network, "east-network"},
		"pods of the second":     {spec.Clusters[1].Provider.Kind.PodSubnet, "10.11.0.0/16"},
		"services of the second": {spec.Clusters[1].Provider.Kind.ServiceSubnet, "10.64.1.0/24"},
		"warnings":               {topology.Warnings, Problems(nil)},
		"dir":                    {topology.Dir, "."},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// TestExplicitZeroIsKept: what the file says is not taken for what it does not say.
func TestExplicitZeroIsKept(t *testing.T) {
	t.Parallel()
	topology, err := Parse("t.yaml", []byte(header+"spec: {clusters: [{name: west}], verify: {failover: {lostAtMost: 0}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := topology.Spec.Verify.Failover; got.LostAtMost != 0 || got.Rate != 20 {
		t.Errorf("failover is %+v", got)
	}
	_, err = Parse("t.yaml", []byte(header+"spec: {clusters: [{name: west, eastWest: {replicas: 0}}]}\n"))
	if err == nil || !strings.Contains(err.Error(), "spec.clusters[0].eastWest.replicas: 0 is out of range") {
		t.Errorf("replicas: 0 gave %v", err)
	}
}

// TestDefaultsOfPlannedClusters: an existing cluster gets no kind defaults.
func TestDefaultsOfPlannedClusters(t *testing.T) {
	t.Parallel()
	topology := Topology{Spec: Spec{Clusters: []Cluster{{Name: "west"},
		{Name: "east", Provider: Provider{Kubeconfig: &KubeconfigProvider{Path: "a", Context: "b"}}, Primary: "west"}}}}
	topology.derive()
	c := topology.Spec.Clusters[1]
	if c.Provider.Kind != nil || c.LoadBalancer.Type != LoadBalancerExisting || c.Config != "west" || c.Network != "east-network" {
		t.Errorf("derived %+v", c)
	}
}

// TestNodesTakeTheClustersLocality unless they say one of their own.
func TestNodesTakeTheClustersLocality(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[string]Locality{
		"":                                    {Region: "us-west", Zone: "a"},
		"nodes: [{}]":                         {Region: "us-west", Zone: "a"},
		"nodes: [{locality: {}}]":             {Region: "us-west", Zone: "a"},
		"nodes: [{locality: {region: mars}}]": {Region: "mars"},
	} {
		topology, err := Parse("t.yaml", []byte(header+"spec: {clusters: [{name: west, locality: {region: us-west, zone: a}, provider: {kind: {"+nodes+"}}}]}\n"))
		if err != nil {
			t.Errorf("%s: %v", nodes, err)
			continue
		}
		if got := topology.Spec.Clusters[0].Provider.Kind.Nodes[0].Locality; got != want {
			t.Errorf("%s: the node is in %+v, want %+v", nodes, got, want)
		}
	}
}

// TestIngressPorts: an ingress that says no port gets the first that nothing else has.
func TestIngressPorts(t *testing.T) {
	t.Parallel()
	topology, err := Parse("t.yaml", []byte(header+`spec:
  clusters:
  - {name: a, ingress: {}}
  - {name: b, ingress: {hostPorts: {http: 30000, https: 30002}}}
  - {name: c, ingress: {hostPorts: {}}, provider: {kind: {ports: [{host: 30001, node: 30080}]}}}
  - {name: d}
  - {name: e, ingress: {hostPorts: {http: 0, https: 8443}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []HostPorts
	for _, c := range topology.Spec.Clusters {
		if c.Ingress == nil {
			got = append(got, HostPorts{})
		} else {
			got = append(got, c.Ingress.HostPorts)
		}
	}
	want := []HostPorts{{HTTP: 30003, Any: true}, {HTTP: 30000, HTTPS: 30002}, {HTTP: 30004, Any: true}, {}, {HTTPS: 8443}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPortsRunOut(t *testing.T) {
	t.Parallel()
	used := map[int]bool{}
	for port := firstHostPort; port <= lastHostPort; port++ {
		if got := firstPort(used); got != port {
			t.Fatalf("got %d, want %d", got, port)
		}
	}
	if got := firstPort(used); got != 0 {
		t.Errorf("after the last port comes %d", got)
	}
	c := newCollector("t.yaml")
	topology := topologyOf(t, "west")
	topology.Spec.Clusters[0].Ingress = &Ingress{}
	c.validate(topology)
	if got := c.problems.Error(); !strings.Contains(got, "spec.clusters[0].ingress.hostPorts: no port is left to allocate (write http: with a free port)") {
		t.Errorf("got %q", got)
	}
}
