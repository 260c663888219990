// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"maps"
	"slices"
)

// discovery checks who knows whom: keys are clusters with an istiod, values are clusters whose
// API servers it watches.
func (c *collector) discovery(t *Topology) {
	const at = "spec.discovery"
	if len(t.Spec.Discovery) == 0 {
		return
	}
	for _, reader := range slices.Sorted(maps.Keys(t.Spec.Discovery)) {
		path := join(at, reader)
		cluster := t.Cluster(reader)
		switch {
		case cluster == nil:
			c.add(path, fmt.Sprintf("there is no cluster %q", reader), suggestValue(reader, t.Primaries()))
			continue
		case !cluster.IsPrimary():
			c.add(path, fmt.Sprintf("%q has no istiod, the one of %q serves it", reader, cluster.Primary), fmt.Sprintf("write it under %q", cluster.Primary))
			continue
		}
		c.peers(t, path, cluster, t.Spec.Discovery[reader])
	}
}

// peers checks whom one istiod watches.
func (c *collector) peers(t *Topology, path string, reader *Cluster, peers []string) {
	others := slices.DeleteFunc(t.Members(), func(name string) bool { return name == reader.Name || name == reader.Config })
	first := map[string]bool{}
	for i, peer := range peers {
		at := fmt.Sprintf("%s[%d]", path, i)
		cluster := t.Cluster(peer)
		switch {
		case cluster == nil:
			c.add(at, fmt.Sprintf("there is no cluster %q", peer), suggestValue(peer, others))
		case peer == reader.Name || peer == reader.Config:
			c.add(at, fmt.Sprintf("the istiod of %q reads %q anyway", reader.Name, peer), "remove it from the list")
		case !cluster.IsMember():
			c.add(at, fmt.Sprintf("%q has no workloads of the mesh", peer), "remove it from the list")
		case first[peer]:
			c.add(at, fmt.Sprintf("%q is in the list twice", peer), "keep one of the two")
		}
		first[peer] = true
	}
}
