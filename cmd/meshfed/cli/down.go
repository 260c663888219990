// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) down() *cobra.Command {
	var dryRun, deleteCerts, yes bool
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove exactly what was made, and check that nothing is left",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if len(a.clusters) > 0 {
				return usage(diag.Hint(errors.New("down removes the whole mesh, not --clusters"), "leave --clusters out"))
			}
			m, err := a.open(ctx)
			if err != nil {
				return err
			}
			if dryRun {
				return a.dryDown(ctx, m)
			}
			if err := a.agreed(m, yes); err != nil {
				return err
			}
			release, err := m.State.Lock("down")
			if err != nil {
				return err
			}
			defer release()
			if err := a.settle(ctx, m, false); err != nil {
				return err
			}
			// Kind clusters go with what is broken in them.
			if err := a.restoreFaults(ctx, m, m.Existing()); err != nil {
				return err
			}
			steps, err := plan.Down(ctx, m)
			if err != nil {
				return err
			}
			folder, err := m.State.NewRun("down")
			if err != nil {
				return err
			}
			defer closeRun(folder)
			logChildren(m, folder)
			observe, end := a.watch(folder, steps)
			result := graph.Run(ctx, steps, graph.Options{Parallel: a.parallel, Observe: observe})
			end()
			if err := result.Err(); err != nil {
				return diag.Hint(err, fmt.Sprintf("`%s` goes on from here", a.command("down")))
			}
			left, err := m.Leftovers(ctx)
			if err != nil {
				return err
			}
			kept := m.Kept()
			if len(left) > 0 {
				return diag.Hint(fmt.Errorf("left behind: %v", left), fmt.Sprintf("`%s` again, and report it if they stay", a.command("down")))
			}
			if err := m.RemoveState(deleteCerts); err != nil {
				return err
			}
			a.log = "" // it went with the state
			return a.printDown(m, result, deleteCerts, kept)
		},
	}
	f := c.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	f.BoolVar(&deleteCerts, "delete-certs", false, "also the root key, which nothing can bring back")
	f.BoolVar(&yes, "yes", false, "do not ask for the mesh's name (asked only where a cluster is your own)")
	return c
}

// dryDown says what down would remove and changes nothing.
func (a *app) dryDown(ctx context.Context, m *plan.Mesh) error {
	steps, err := plan.Down(ctx, m)
	if err != nil {
		return err
	}
	planned, err := graph.Plan(ctx, steps, graph.Options{Parallel: a.parallel})
	if err != nil {
		return err
	}
	_, err = a.printPlan(ctx, m, planned)
	return err
}

// agreed asks for the mesh's name before anything is taken out of clusters of the user's own.
func (a *app) agreed(m *plan.Mesh, yes bool) error {
	if err := m.Recall(); err != nil {
		return err
	}
	own, name := append(m.Existing(), m.Former()...), m.Topology.Metadata.Name
	if yes || len(own) == 0 {
		return nil
	}
	refused := diag.Hint(fmt.Errorf("down takes %s out of %s, which are your own", name, strings.Join(own, ", ")),
		fmt.Sprintf("`%s` does it without asking; `%s` says first what goes", a.command("down", "--yes"), a.command("down", "--dry-run")))
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usage(refused)
	}
	fmt.Fprintf(a.Err, "%s goes out of %s, which stay.\nType the mesh's name to go on: ", name, strings.Join(own, ", "))
	var typed string
	if _, err := fmt.Fscanln(in, &typed); err != nil || typed != name {
		return usage(refused)
	}
	return nil
}

func (a *app) printDown(m *plan.Mesh, result graph.Result, deleteCerts bool, kept []string) error {
	name := m.Topology.Metadata.Name
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Changed bool     `json:"changed"`
			RootKey bool     `json:"rootKeyKept"`
			Kept    []string `json:"kept,omitempty"`
		}{newHeader("Status", name, nil), result.Changed(), m.HasRoot(), kept})
	}
	block := ui.Block{Mark: ui.Pass, Title: fmt.Sprintf("%s is gone, nothing is left of it (%s)", name, ui.Duration(result.Duration))}
	if !result.Changed() {
		block.Title = "nothing of " + name + " is here"
	}
	if m.HasRoot() && !deleteCerts {
		block.Facts = [][2]string{{"root key kept", m.State.PKI()}}
		block.Next = [][2]string{{a.command("down", "--delete-certs"), "remove the root key too"}}
	}
	block.Notes = append(block.Notes, kept...)
	return ui.WriteBlock(ui.Detect(a.Out, getenv), block)
}
