// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/topology"
)

// writeContexts writes the topology of the mesh that runs behind kubeconfig contexts, and tells
// what was found in each.
func (a *app) writeContexts(ctx context.Context, path string, contexts []string) error {
	running, err := plan.ReadContexts(ctx, contexts)
	if err != nil {
		return err
	}
	text, err := running.File()
	if err != nil {
		return err
	}
	text = append([]byte("# yaml-language-server: $schema=./"+topology.SchemaFile+"\n# What `meshfed init` found running. What it did not install is only checked: manage.\n"), text...)
	// What does not load is written all the same: it is what runs, and the user's to change.
	name := starterName(path)
	t, wrong := topology.Parse(path, text)
	if wrong == nil {
		name = t.Metadata.Name
	}
	if err := a.writeTopology(path, name, text); err != nil {
		return err
	}
	for i, f := range running.Found {
		for _, istiod := range f.Controls {
			fmt.Fprintf(a.Err, "%s: %s\n", contexts[i], istiod)
		}
	}
	if wrong != nil {
		fmt.Fprintf(a.Err, "warning: to be changed before it is used:\n%v\n", wrong)
	}
	return nil
}
