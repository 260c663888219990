// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"reflect"
	"time"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// presetter is a type whose defaults do not depend on anything else in the file. They are
// there before the file is read, so that an explicit 0 or false is kept.
type presetter interface{ preset() }

// preset fills the constant defaults of a value and of the structs inside it.
func preset(pointer any) {
	v := reflect.ValueOf(pointer).Elem()
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Field(i).Kind() == reflect.Struct {
				preset(v.Field(i).Addr().Interface())
			}
		}
	}
	if p, ok := pointer.(presetter); ok {
		p.preset()
	}
}

func (m *Mesh) preset()            { m.TrustDomain, m.MTLS = "cluster.local", MTLSPermissive }
func (r *Root) preset()            { r.Keep = KeepFile }
func (k *KeySpec) preset()         { k.Algorithm, k.Lifetime = AlgorithmECDSAP256, Duration(10*year) }
func (c *Credentials) preset()     { c.Lifetime, c.Refresh = Duration(30*day), RefreshManual }
func (e *EastWest) preset()        { e.Replicas = 1 }
func (s *EastWestService) preset() { s.Type = ServiceLoadBalancer }
func (m *Manage) preset() {
	*m = Manage{Istio: true, Gateways: true, CACerts: true, RemoteSecrets: true}
}
func (n *Node) preset()         { n.Role = RoleControlPlane }
func (v *Verify) preset()       { v.Proxies = 20 }
func (p *Probe) preset()        { p.Namespace = "meshfed-verify" }
func (p *ServiceProbe) preset() { p.Path, p.Requests = "/", 20 }
func (f *Failover) preset() {
	*f = Failover{Rate: 20, Within: Duration(10 * time.Second), LostAtMost: 40, BackWithin: Duration(time.Minute)}
}
func (i *Intermediate) preset() {
	i.Algorithm, i.Lifetime = AlgorithmECDSAP256, Duration(2*year)
}

// preset of the file's own spec.istio only: a cluster's istio is ClusterIstio. The version has no
// default: what runs is kept.
func (i *Istio) preset() { i.Profile = "default" }

// derive fills the defaults that follow from other fields.
func (t *Topology) derive() {
	t.Spec.Images.tidy()
	t.Spec.Istio.Charts.tidy()
	if t.Spec.Mesh.ID == "" {
		t.Spec.Mesh.ID = t.Metadata.Name
	}
	root := &t.Spec.Certificates.Root
	if root.Generate == nil && root.Files == nil && root.KMS == nil {
		root.Generate = &KeySpec{}
		preset(root.Generate)
	}
	for i := range t.Spec.Clusters {
		t.Spec.Clusters[i].derive()
	}
	for i := range t.Spec.Clusters {
		c := &t.Spec.Clusters[i]
		if c.Config != "" {
			continue
		}
		// A remote cluster is served by what its primary's istiod reads.
		c.Config = c.Primary
		if primary := t.Cluster(c.Primary); primary != nil && primary.Config != "" {
			c.Config = primary.Config
		}
	}
}

// defaultNetwork is the network of a cluster that says none.
func defaultNetwork(cluster string) string { return cluster + "-network" }

func (c *Cluster) derive() {
	if c.Provider.Kind == nil && c.Provider.Kubeconfig == nil && c.Provider.ClusterAPI == nil {
		c.Provider.Kind = &KindProvider{}
	}
	if c.Network == "" && c.Name != "" {
		c.Network = defaultNetwork(c.Name)
	}
	if c.Primary == "" {
		c.Primary = c.Name
	}
	kind := c.Provider.Kind
	if c.LoadBalancer.Type == "" {
		c.LoadBalancer.Type = LoadBalancerExisting
		if kind != nil {
			c.LoadBalancer.Type = LoadBalancerMetalLB
		}
	}
	if kind == nil {
		return
	}
	if len(kind.Nodes) == 0 {
		kind.Nodes = []Node{{Role: RoleControlPlane}}
	}
	for i := range kind.Nodes {
		if kind.Nodes[i].Locality == (Locality{}) {
			kind.Nodes[i].Locality = c.Locality
		}
	}
}
