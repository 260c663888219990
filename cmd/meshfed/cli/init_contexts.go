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
	running, err := plan.ReadContexts(ctx, contexts, false)
	if err != nil {
		return err
	}
	text, t, err := running.File()
	if err != nil {
		return err
	}
	text = append([]byte("# yaml-language-server: $schema=./"+topology.SchemaFile+"\n"), text...)
	if err := a.writeTopology(path, t.Metadata.Name, "plan", text); err != nil || a.quiet {
		return err
	}
	for _, note := range running.Notes(t) {
		fmt.Fprintf(a.Err, "note: %s\n", note)
	}
	return nil
}
