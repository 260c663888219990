// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/internal/graph"
)

// Dot writes steps, and what they need, in Graphviz' language: a box for each step, the steps
// of a cluster together, arrows in the order of work.
func Dot(name string, steps []graph.Step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n", name)
	var clusters []string
	in := map[string][]graph.Step{}
	for _, s := range steps {
		if in[s.Cluster] == nil {
			clusters = append(clusters, s.Cluster)
		}
		in[s.Cluster] = append(in[s.Cluster], s)
	}
	for _, cluster := range clusters {
		indent := "  "
		if cluster != "" {
			// Graphviz frames what is called cluster_...
			fmt.Fprintf(&b, "  subgraph %q {\n    label=%q;\n", "cluster_"+cluster, cluster)
			indent = "    "
		}
		for _, s := range in[cluster] {
			fmt.Fprintf(&b, "%s%q [tooltip=%q];\n", indent, s.ID, s.Title)
		}
		if cluster != "" {
			b.WriteString("  }\n")
		}
	}
	for _, s := range steps {
		for _, need := range s.Needs {
			fmt.Fprintf(&b, "  %q -> %q;\n", need, s.ID)
		}
	}
	b.WriteString("}\n")
	return b.String()
}
