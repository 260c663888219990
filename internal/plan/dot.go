// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/internal/graph"
)

// colours are how the box of a step looks by what it would do. What there is nothing to do for is
// pale, so that the rest stands out.
var colours = map[graph.Action]string{
	graph.Create: "green4", graph.Update: "dodgerblue3", graph.Replace: "red3", graph.Delete: "red3", graph.Unknown: "darkorange2", graph.None: "gray70",
}

// Dot writes steps, and what they need, in Graphviz' language: a box for each step, the steps
// of a cluster together, arrows in the order of work. Where somebody has looked, a box says what
// would be done, and its tooltip why; changes are by ID, nil where nobody has.
func Dot(name string, steps []graph.Step, changes map[string]graph.Change) string {
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
			fmt.Fprintf(&b, "%s%q [%s];\n", indent, s.ID, box(s, changes))
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

// box is how a step looks.
func box(s graph.Step, changes map[string]graph.Change) string {
	change, looked := changes[s.ID]
	if !looked {
		return fmt.Sprintf("tooltip=%q", s.Title)
	}
	tooltip := s.Title
	if change.Reason != "" {
		tooltip += ": " + change.Reason
	}
	colour := fmt.Sprintf("tooltip=%q, color=%q, fontcolor=%q", tooltip, colours[change.Action], colours[change.Action])
	if change.Action == graph.None {
		return colour
	}
	return fmt.Sprintf("label=%q, %s", s.ID+"\n"+string(change.Action), colour)
}
