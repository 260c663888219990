// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"slices"
	"strings"
)

// maxServiceRequests bounds what is sent to a service of the user's own from one cluster: enough
// to see a share, too little to be a load.
const maxServiceRequests = 200

// services checks the user's own services that verify looks at.
func (c *collector) services(t *Topology) {
	first := map[string]int{}
	for i, s := range t.Spec.Services {
		at := fmt.Sprintf("spec.services[%d]", i)
		if c.serviceHost(at+".host", s.Host) {
			if before, ok := first[s.Host]; ok {
				c.add(at+".host", fmt.Sprintf("spec.services[%d] is %q too", before, s.Host), "keep one of the two")
			}
			first[s.Host] = i
			if _, namespace, _ := strings.Cut(s.Host, "."); slices.Contains(t.ProbeNamespaces(), namespace) {
				c.add(at+".host", fmt.Sprintf("%q is one of the probes, which are removed after use", s.Host), "remove it, or write another spec.verify.probe.namespace")
			}
		}
		c.serving(t, at+".clusters", s.Clusters)
		for j, caller := range s.Callers {
			namespace, account, ok := strings.Cut(caller, "/")
			// The name of a service account is that of any object: labels with dots between them.
			if !ok || !isLabel(namespace) || !isDomain(account) {
				c.add(fmt.Sprintf("%s.callers[%d]", at, j), fmt.Sprintf("%q is no namespace/serviceaccount", shorten(caller)), "write both, such as shop/web")
			}
		}
		if p := s.Probe; p != nil {
			if !strings.HasPrefix(p.Path, "/") || strings.ContainsFunc(p.Path, func(r rune) bool { return r <= ' ' || r > '~' }) {
				c.add(at+".probe.path", fmt.Sprintf("%q is no path of a request", shorten(p.Path)), "write one that begins with /, such as /healthz")
			}
			c.number(at+".probe.requests", p.Requests, 1, maxServiceRequests)
		}
	}
}

func (c *collector) serviceHost(path, host string) bool {
	if !c.required(path, host, "write the service's name and namespace, such as checkout.shop") {
		return false
	}
	name, namespace, ok := strings.Cut(host, ".")
	if ok && isLabel(name) && isLabel(namespace) {
		return true
	}
	fix := "write the service's name and namespace, such as checkout.shop"
	if short, whole := strings.CutSuffix(host, serviceDomain); whole {
		fix = "write " + short
	}
	c.add(path, fmt.Sprintf("%q is no name.namespace", shorten(host)), fix)
	return false
}

// serving checks the clusters that a service lives in.
func (c *collector) serving(t *Topology, at string, names []string) {
	first := map[string]bool{}
	for i, name := range names {
		path := fmt.Sprintf("%s[%d]", at, i)
		cluster := t.Cluster(name)
		switch {
		case cluster == nil:
			c.add(path, fmt.Sprintf("there is no cluster %q", name), suggestValue(name, t.Members()))
		case !cluster.IsMember():
			c.add(path, fmt.Sprintf("%q has no workloads of the mesh", name), "remove it from the list")
		case first[name]:
			c.add(path, fmt.Sprintf("%q is in the list twice", name), "keep one of the two")
		}
		first[name] = true
	}
}

// ServedBy are the clusters that a service of the user's own lives in, in file order.
func (t *Topology) ServedBy(s *Service) []string {
	var all []string
	for _, name := range t.Members() {
		if len(s.Clusters) == 0 || slices.Contains(s.Clusters, name) {
			all = append(all, name)
		}
	}
	return all
}
