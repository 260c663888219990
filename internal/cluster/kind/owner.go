// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"regexp"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/topology"
)

// FindOwner asks the control-plane nodes of kind clusters called TOPOLOGY-... which owner their
// records name; empty when none of them is the topology's. It is how an owner is found again on
// a network that carries no labels of ours. Two owners are an error.
func FindOwner(ctx context.Context, e cluster.Engine, name string) (string, error) {
	list, err := cluster.Containers(ctx, e, "label="+clusterLabel, "name=^"+regexp.QuoteMeta(name)+"-.*-control-plane$")
	if err != nil {
		return "", err
	}
	owner, where := "", ""
	for _, c := range list {
		r, ok, err := New(e, cluster.Facts{}, "", nil).readRecord(ctx, c)
		if err != nil {
			return "", err
		}
		found := r.Labels[topology.LabelOwner]
		switch {
		case !ok || r.Labels[topology.LabelTopology] != name:
		case owner != "" && owner != found:
			return "", diag.Hint(fmt.Errorf("containers %s and %s are of topology %s, and of two owners", where, c.Name, name),
				"run `meshfed down` for each, with the --state-dir that it was made with")
		default:
			owner, where = found, c.Name
		}
	}
	return owner, nil
}
