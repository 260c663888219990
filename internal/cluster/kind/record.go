// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
)

// recordPath is where the record lies in the first control-plane node: on the container's own
// file system, so it lives exactly as long as the container.
const recordPath = "/kind/meshfed.json"

// record says that a cluster is whole, whose it is and what it was made from.
type record struct {
	Labels map[string]string `json:"labels"`
	Spec   cluster.Spec      `json:"spec"`
}

// writeRecord is the last thing that making a cluster does.
func (p *Provider) writeRecord(ctx context.Context, s cluster.Spec) error {
	data, err := json.Marshal(record{Labels: p.labels, Spec: s})
	if err != nil {
		return err
	}
	node := controlPlanes(s)[0]
	err = p.engine.Pipe(ctx, strings.NewReader(string(data)), nil, "exec", "--interactive", node,
		"sh", "-c", "cat > "+recordPath+".new && mv "+recordPath+".new "+recordPath)
	if err != nil {
		return fmt.Errorf("recording in %s that the cluster is whole: %w", node, err)
	}
	return nil
}

// compare lists what can not be changed in a cluster that exists. Patches are left out: what
// they do can be changed in other ways, and often was. So is the image: a cluster keeps what it
// was made from when a newer bundle is at hand.
func compare(made, want cluster.Spec) []cluster.Difference {
	var d []cluster.Difference
	add := func(path, old, next string) {
		if old != next {
			d = append(d, cluster.Difference{Path: path, Old: old, New: next})
		}
	}
	add("podSubnet", made.PodSubnet, want.PodSubnet)
	add("serviceSubnet", made.ServiceSubnet, want.ServiceSubnet)
	add("ports", ports(made), ports(want))
	add("nodes", fmt.Sprint(len(nodes(made))), fmt.Sprint(len(nodes(want))))
	if len(made.Nodes) == len(want.Nodes) {
		for i := range made.Nodes {
			add(fmt.Sprintf("nodes[%d].role", i), made.Nodes[i].Role, want.Nodes[i].Role)
			add(fmt.Sprintf("nodes[%d].labels", i), labels(made.Nodes[i]), labels(want.Nodes[i]))
		}
	}
	return d
}

func ports(s cluster.Spec) string {
	var list []string
	for _, p := range s.Ports {
		list = append(list, fmt.Sprintf("%d:%d", p.Host, p.Node))
	}
	slices.Sort(list)
	return "[" + strings.Join(list, " ") + "]"
}

func labels(n cluster.Node) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		list = append(list, key+"="+n.Labels[key])
	}
	return "[" + strings.Join(list, " ") + "]"
}
