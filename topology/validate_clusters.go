// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// clusters checks names and how clusters refer to each other.
func (c *collector) clusters(t *Topology) {
	first := map[string]int{}
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		if c.label(at+".name", cluster.Name, "write a name for the cluster, such as west") {
			if before, ok := first[cluster.Name]; ok {
				c.add(at+".name", fmt.Sprintf("spec.clusters[%d] is called %q too", before, cluster.Name), "write another name")
			} else {
				first[cluster.Name] = i
			}
		}
		if name := t.KindName(cluster.Name); len(name) > MaxNameLength {
			c.add(at+".name", fmt.Sprintf("%q has %d characters, more than %d", name, len(name), MaxNameLength),
				"write a shorter name for the cluster or for the topology")
		}
		if c.said(at+".network") && cluster.Network != "" && !isLabelValue(cluster.Network) {
			c.add(at+".network", fmt.Sprintf("%q is no network name", cluster.Network), fixLabelValue)
		}
		c.locality(at+".locality", cluster.Locality)
		c.provider(at+".provider", cluster, t.IstioRelease())
		c.number(at+".eastWest.replicas", cluster.EastWest.Replicas, 1, 100)
		for key := range cluster.EastWest.Service.Annotations {
			c.qualified(join(at+".eastWest.service.annotations", key), key)
		}
		c.peerAddress(at+".apiServer.peerAddress", cluster.APIServer.PeerAddress)
		c.primary(t, at, cluster)
	}
}

func (c *collector) locality(path string, l Locality) {
	if l.Region != "" && !isLabelValue(l.Region) {
		c.add(path+".region", fmt.Sprintf("%q is no region", l.Region), fixLabelValue)
	}
	if l.Zone != "" && !isLabelValue(l.Zone) {
		c.add(path+".zone", fmt.Sprintf("%q is no zone", l.Zone), fixLabelValue)
	}
	if l.Zone != "" && l.Region == "" {
		c.add(path+".zone", "a zone without its region means nothing to Istio", "write the region too")
	}
}

func (c *collector) provider(path string, cluster *Cluster, istio string) {
	p := cluster.Provider
	var set []string
	if p.Kind != nil {
		set = append(set, "kind")
	}
	if p.Kubeconfig != nil {
		set = append(set, "kubeconfig")
	}
	if p.ClusterAPI != nil {
		set = append(set, "clusterAPI")
	}
	if len(set) > 1 {
		c.add(path, strings.Join(set, " and ")+" exclude each other", "keep one of them")
	}
	if p.Kind != nil {
		c.kind(path+".kind", p.Kind, istio)
	}
}

// primary checks whose istiod serves whom.
func (c *collector) primary(t *Topology, at string, cluster *Cluster) {
	primary := t.Cluster(cluster.Primary)
	if cluster.Name == "" {
		return
	}
	if primary == nil {
		c.add(at+".primary", fmt.Sprintf("there is no cluster %q", cluster.Primary), "name one of "+quoted(t.Names()))
		return
	}
	if primary.Primary != primary.Name {
		c.add(at+".primary", fmt.Sprintf("%q is itself served by %q", primary.Name, primary.Primary), "name a cluster that is its own primary")
		return
	}
	if t.Cluster(cluster.Config) == nil {
		c.add(at+".config", fmt.Sprintf("there is no cluster %q", cluster.Config), "name one of "+quoted(t.Names()))
		return
	}
	if cluster.Config != primary.Config {
		c.add(at+".config", fmt.Sprintf("%q is served by %q, whose istiod reads %q", cluster.Name, primary.Name, primary.Config), fmt.Sprintf("write config: %q", primary.Config))
	}
	if cluster.IsExternal() {
		c.external(t, at, cluster)
	}
	if len(t.Served(cluster.Name)) > 0 && cluster.LoadBalancer.Type == LoadBalancerNone && len(cluster.EastWest.Addresses) == 0 {
		c.add(at+".loadBalancer.type", fmt.Sprintf("other clusters reach the istiod of %q at an address that its load balancer gives, and it has none", cluster.Name),
			"write another type, or eastWest.addresses")
	}
}

// external checks a cluster whose istiod reads another one: that one is served by it, and what
// belongs to workloads is not asked of it.
func (c *collector) external(t *Topology, at string, cluster *Cluster) {
	if config := t.Cluster(cluster.Config); config.Primary != cluster.Name {
		c.add(at+".config", fmt.Sprintf("%q is served by %q: the istiod of %q can not read it", config.Name, config.Primary, cluster.Name),
			fmt.Sprintf("write primary: %q for %q, or remove config", cluster.Name, config.Name))
	}
	// What a default would say as well is fine: a loaded topology, written down, says it.
	plain := EastWest{}
	preset(&plain)
	for _, field := range []struct {
		name  string
		moved bool
	}{
		{"network", cluster.Network != defaultNetwork(cluster.Name)},
		{"ingress", cluster.Ingress != nil},
		{"eastWest", !reflect.DeepEqual(cluster.EastWest, plain)},
	} {
		if field.moved {
			c.add(at+"."+field.name, fmt.Sprintf("%q runs only an istiod that reads %q: no workload, no gateway and no network of the mesh is there", cluster.Name, cluster.Config),
				"remove it, or write it for "+strconv.Quote(cluster.Config))
		}
	}
}

// peerAddress accepts https://host[:port] and host:port, but no address that only the host
// itself can reach.
func (c *collector) peerAddress(path, address string) {
	if address == "" {
		return
	}
	const fix = "write what the other clusters can reach, such as https://172.20.0.2:6443"
	host, whole := strings.CutPrefix(address, schemeHTTPS)
	u, err := url.Parse(schemeHTTPS + host)
	switch {
	case err != nil || u.Host != host || u.Hostname() == "", // a login, a path, a query
		u.Port() == "" && (!whole || strings.HasSuffix(host, ":")), u.Port() != "" && !isPort(u.Port()):
		c.add(path, fmt.Sprintf("%q is neither https://host:port nor host:port", address), fix)
	case OutOfReach(u.Hostname()) != "":
		c.add(path, fmt.Sprintf("%q %s", address, OutOfReach(u.Hostname())), fix)
	}
}

func quoted(names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = strconv.Quote(shorten(name))
	}
	return orList(parts)
}

// cutPort splits host:port at the last colon.
func cutPort(s string) (host, port string, found bool) {
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
