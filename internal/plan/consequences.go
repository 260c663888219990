// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"

	"github.com/meshfed/meshfed/internal/graph"
)

// Consequences says of a plan what follows from clusters that are made anew. Each Look saw the
// world as it is now, in which those clusters are still there: whatever is in them is to be
// created again, and what others hold of them is to be updated. It is pure and changes the
// plan in place.
func Consequences(planned []graph.Planned) {
	anew := map[string]bool{}
	for _, p := range planned {
		if p.Change.Action == graph.Replace && p.Step.ID == "cluster@"+p.Step.Cluster {
			anew[p.Step.Cluster] = true
		}
	}
	if len(anew) == 0 {
		return
	}
	for i := range planned {
		p := &planned[i]
		_, where, _ := strings.Cut(p.Step.ID, "@")
		from, to, _ := strings.Cut(where, ":")
		switch {
		case p.Step.ID == "cluster@"+p.Step.Cluster:
		case p.Step.Cluster != "" && anew[from]:
			p.Change, p.Err = graph.Change{Action: graph.Create, Reason: from + " is made anew"}, nil
		case to != "" && anew[to]:
			p.Change, p.Err = graph.Change{Action: graph.Update, Reason: to + " is made anew"}, nil
		}
	}
}
