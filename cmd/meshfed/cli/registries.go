// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
)

func (a *app) bundlePull() *cobra.Command {
	var dir string
	var check bool
	c := &cobra.Command{
		Use:   "pull",
		Short: "Fetch every image and chart that a topology file names",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.load()
			if err != nil {
				return err
			}
			m := &plan.Mesh{Topology: t, Pull: true}
			// Images are for the engine's processor, which need not be this one's.
			if m.Facts, err = cluster.Detect(cmd.Context(), ""); err != nil {
				return err
			}
			if err := m.AskRegistries(cmd.Context()); err != nil {
				if check && !a.quiet {
					first, _, _ := strings.Cut(err.Error(), "\n")
					fmt.Fprintln(a.Err, "images: they can not be pulled here:", run.Redact(first))
					return quietExit(diag.ExitFailed)
				}
				return diag.Hint(err, "`meshfed bundle build` makes them from source and asks no image registry")
			}
			if check {
				_, err := fmt.Fprintf(a.Out, "images: %s can be pulled from\n", m.ImagesFrom())
				return err
			}
			observe, done := a.items(bundle.PullItems(t))
			b, err := bundle.Pull(cmd.Context(), bundle.PullOptions{
				Dir: dir, Topology: t, Platform: "linux/" + m.Facts.Arch, WithoutProbe: m.BuildProbe, Observe: observe,
			})
			done()
			if err != nil {
				return diag.Hint(err, "`meshfed bundle pull` goes on with what is missing")
			}
			return a.sayBundle(b)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "where the bundle goes (default $XDG_CACHE_HOME/meshfed/bundle)")
	c.Flags().BoolVar(&check, "check", false, "only ask whether everything can be pulled; exit code 1 when not")
	return c
}

func (a *app) bundlePush() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "push MIRROR",
		Short:   "Copy a bundle's images and charts to a registry, for spec.images.mirror",
		Example: "  meshfed bundle push registry.example.com/mesh",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(diag.Hint(errors.New("name the registry to push to, and nothing else"), "`meshfed bundle push registry.example.com/mesh`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				dir = bundle.DefaultDir()
			}
			b, err := bundle.Open(dir)
			if err != nil {
				return err
			}
			observe, done := a.items(b.PushItems())
			err = b.Push(cmd.Context(), bundle.PushOptions{Mirror: args[0], Observe: observe})
			done()
			if err != nil {
				return diag.Hint(err, "`meshfed bundle push` goes on with what is missing")
			}
			if a.output == "json" {
				return a.writeManifest(b)
			}
			_, err = fmt.Fprintf(a.Out, "%d images and %d charts are on %s: write spec.images.mirror: %s\n", len(b.Images), len(b.Charts), args[0], args[0])
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the bundle (default $XDG_CACHE_HOME/meshfed/bundle)")
	return c
}

// sayBundle ends a command that made a bundle.
func (a *app) sayBundle(b *bundle.Bundle) error {
	if a.output == "json" {
		return a.writeManifest(b)
	}
	_, err := fmt.Fprintf(a.Out, "bundle %s: Kubernetes %s, Istio %s, %d images\n", b.Dir, b.Kubernetes, b.Istio, len(b.Images))
	return err
}
