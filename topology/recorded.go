// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
)

// Allocation is what one cluster lives with, whether the file says it or it was allocated: `up`
// records it in the cluster (AnnotationAllocation, as JSON). Empty fields are not recorded.
type Allocation struct {
	// PodSubnet and ServiceSubnet are CIDRs of a kind cluster.
	PodSubnet     string `json:"podSubnet,omitempty"`
	ServiceSubnet string `json:"serviceSubnet,omitempty"`
	// Addresses is the load balancer's range, first-last as AddressRange writes it.
	Addresses string `json:"addresses,omitempty"`
	// HTTPPort is the port of the host that leads to port 80 of the ingress gateway.
	HTTPPort int `json:"httpPort,omitempty"`
}

// Allocation is what the named cluster has by the file and by ApplyRecorded; addresses is its
// range of AllocateAddresses, or the zero value. It is what `up` is to record, apart from an
// HTTP port that was found taken on the host.
func (t *Topology) Allocation(cluster string, addresses AddressRange) Allocation {
	c := t.Cluster(cluster)
	if c == nil {
		return Allocation{}
	}
	var a Allocation
	if kind := c.Provider.Kind; kind != nil {
		a.PodSubnet, a.ServiceSubnet = kind.PodSubnet, kind.ServiceSubnet
	}
	if addresses.First.IsValid() {
		a.Addresses = addresses.String()
	}
	if c.Ingress != nil {
		a.HTTPPort = c.Ingress.HostPorts.HTTP
	}
	return a
}

// ApplyRecorded lets live clusters keep what they live with, by cluster name: whatever the file
// does not say becomes what is recorded, and what is allocated to other clusters makes way.
// Records of clusters that the file no longer has are kept free. Ranges of load balancers are
// for AllocateAddresses, which heeds the records from now on.
//
// It is a pure function of the file and the records, and idempotent. The error is Problems, and
// then nothing is changed: the file says another subnet or port than a live cluster has, which
// would move it; the fix says the line to write. Or the file gives to one cluster what another
// lives with. Leave out the record of a cluster that shall be made anew.
func (t *Topology) ApplyRecorded(recorded map[string]Allocation) error {
	c := newCollector(t.file)
	c.places = t.said
	next := t.unallocated()
	var reserved []Allocation
	valid := map[string]Allocation{}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		i, a := slices.Index(t.Names(), name), recorded[name]
		if err := a.check(); err != nil {
			c.add(fmt.Sprintf("spec.clusters[%d]", max(i, 0)), fmt.Sprintf("what is recorded in the cluster %q can not be used: %v", name, err),
				fmt.Sprintf("remove the annotation %s of ConfigMap %s/%s in that cluster", AnnotationAllocation, OwnerNamespace, OwnerConfigMap))
			continue
		}
		valid[name] = a
		if i >= 0 {
			c.keep(i, &next.Spec.Clusters[i], a)
		} else {
			reserved = append(reserved, a)
		}
	}
	allocate(next, reserved...)
	c.collisions(next, valid)
	if len(c.problems) == 0 {
		c.networks(next)
		c.ports(next)
	}
	if len(c.problems) > 0 {
		return c.told()
	}
	t.Spec.Clusters, t.recorded = next.Spec.Clusters, valid
	return nil
}

// check says what no `up` has recorded.
func (a Allocation) check() error {
	c := newCollector("")
	if a.PodSubnet != "" {
		c.subnet("podSubnet", a.PodSubnet, minPodBits, maxPodBits)
	}
	if a.ServiceSubnet != "" {
		c.subnet("serviceSubnet", a.ServiceSubnet, minServiceBits, maxServiceBits)
	}
	c.number("httpPort", a.HTTPPort, 0, 65535)
	if a.Addresses != "" {
		if _, err := ParseAddressRange(a.Addresses); err != nil {
			c.add("addresses", err.Error(), "-")
		}
	}
	if len(c.problems) > 0 {
		return fmt.Errorf("%s: %s", c.problems[0].Path, c.problems[0].Message)
	}
	return nil
}

// unallocated is a copy of the topology in which what the file does not say is empty again.
func (t *Topology) unallocated() *Topology {
	next := *t
	next.Spec.Clusters = slices.Clone(t.Spec.Clusters)
	for i := range next.Spec.Clusters {
		c := &next.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		if c.Provider.Kind != nil {
			kind := *c.Provider.Kind
			c.Provider.Kind = &kind
			if !t.says(at + ".provider.kind.podSubnet") {
				kind.PodSubnet = ""
			}
			if !t.says(at + ".provider.kind.serviceSubnet") {
				kind.ServiceSubnet = ""
			}
		}
		if c.Ingress != nil {
			ingress := *c.Ingress
			c.Ingress = &ingress
			if ingress.HostPorts.Any {
				ingress.HostPorts = HostPorts{}
			}
		}
	}
	return &next
}

// problem is one with the place of the field, or of the nearest parent that the file says.
func (t *Topology) problem(path, message, fix string) Problem {
	c := newCollector(t.file)
	c.places = t.said
	return c.problem(c.find(path), path, message, fix)
}

// says whether the file, or a --set argument, gives a field a value of its own.
func (t *Topology) says(path string) bool {
	said, ok := t.said[path]
	return ok && !said.empty
}

// keep gives a cluster what it lives with, and tells where the file says something else.
func (c *collector) keep(i int, cluster *Cluster, a Allocation) {
	at := fmt.Sprintf("spec.clusters[%d]", i)
	if kind := cluster.Provider.Kind; kind != nil {
		for _, s := range []struct {
			field, what, live string
			said              *string
		}{
			{"podSubnet", "pods", a.PodSubnet, &kind.PodSubnet},
			{"serviceSubnet", "services", a.ServiceSubnet, &kind.ServiceSubnet},
		} {
			if s.live != "" && *s.said != "" && *s.said != s.live {
				c.add(at+".provider.kind."+s.field, fmt.Sprintf("%s would move the live cluster %q, whose %s have %s", *s.said, cluster.Name, s.what, s.live),
					fmt.Sprintf("write %s: %s to keep it where it is, or make the cluster anew", s.field, s.live))
			} else if s.live != "" {
				*s.said = s.live
			}
		}
	}
	if cluster.Ingress == nil || a.HTTPPort == 0 {
		return
	}
	ports := &cluster.Ingress.HostPorts
	switch {
	case *ports == HostPorts{}:
		*ports = HostPorts{HTTP: a.HTTPPort, Any: true}
	case ports.HTTP != a.HTTPPort:
		said := strconv.Itoa(ports.HTTP)
		if ports.HTTP == 0 {
			said = "publishing no HTTP port"
		}
		c.add(at+".ingress.hostPorts.http", fmt.Sprintf("%s would move the live cluster %q, whose ingress has port %d of the host", said, cluster.Name, a.HTTPPort),
			fmt.Sprintf("write http: %d to keep it where it is, or make the cluster anew", a.HTTPPort))
	}
}

// collisions tells where the file gives to one cluster what another lives with. That is told of
// the cluster that can still be changed, which networks and ports do not know.
func (c *collector) collisions(t *Topology, recorded map[string]Allocation) {
	for i := range t.Spec.Clusters {
		cluster := &t.Spec.Clusters[i]
		at := fmt.Sprintf("spec.clusters[%d]", i)
		for _, name := range slices.Sorted(maps.Keys(recorded)) {
			other, live := t.Cluster(name), recorded[name]
			if name == cluster.Name {
				continue
			}
			c.takenPods(at, cluster, other, live, recorded[cluster.Name].PodSubnet != "")
			if live.HTTPPort == 0 || other != nil && other.Ingress == nil {
				continue
			}
			for path, port := range cluster.published(at) {
				if port == live.HTTPPort && port != recorded[cluster.Name].HTTPPort {
					c.add(path, fmt.Sprintf("the host's port %d leads to the ingress of the live cluster %q", port, name), "write another port")
				}
			}
		}
	}
}

func (c *collector) takenPods(at string, cluster, other *Cluster, live Allocation, lives bool) {
	if other == nil || cluster.Provider.Kind == nil || cluster.Network != other.Network || live.PodSubnet == "" {
		return
	}
	mine, err := netip.ParsePrefix(cluster.Provider.Kind.PodSubnet)
	if err != nil || !mine.Overlaps(netip.MustParsePrefix(live.PodSubnet)) {
		return
	}
	fix := "write another subnet"
	if lives {
		fix = "write different networks for the two, or make one of them anew with another subnet"
	}
	c.add(at+".provider.kind.podSubnet",
		fmt.Sprintf("%s overlaps %s, which the pods of the live cluster %q have in the same network %q", mine, live.PodSubnet, other.Name, cluster.Network), fix)
}

// published lists the ports of the host that lead to the cluster, by the path that says them.
func (c *Cluster) published(at string) map[string]int {
	ports := map[string]int{}
	if c.Ingress != nil {
		ports[at+".ingress.hostPorts.http"], ports[at+".ingress.hostPorts.https"] = c.Ingress.HostPorts.HTTP, c.Ingress.HostPorts.HTTPS
	}
	if c.Provider.Kind != nil {
		for j, p := range c.Provider.Kind.Ports {
			ports[fmt.Sprintf("%s.provider.kind.ports[%d].host", at, j)] = p.Host
		}
	}
	return ports
}
