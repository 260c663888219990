// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
)

func (a *app) bundlePull() *cobra.Command {
	var dir, platform string
	var check bool
	c := &cobra.Command{
		Use:   "pull",
		Short: "Fetch every image and chart that a topology file names",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("platform") && !contains(platforms(), platform) {
				return usage(diag.Hint(fmt.Errorf("there is no platform %q for --platform", platform), "write "+strings.Join(platforms(), " or ")))
			}
			t, err := a.load()
			if err != nil {
				return err
			}
			m := &plan.Mesh{Topology: t, Pull: true}
			if m.Facts.Arch, err = a.processor(cmd.Context(), platform); err != nil {
				return err
			}
			err = m.AskRegistries(cmd.Context())
			if check && cmd.Context().Err() == nil {
				return a.sayCheck(m, err)
			}
			if err != nil {
				return diag.Hint(err, "`meshfed bundle build` makes them from source and asks no image registry")
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
	c.Flags().StringVar(&platform, "platform", "", "the nodes' `PLATFORM`, "+strings.Join(platforms(), " or ")+" (default: the container engine's, else this machine's)")
	return c
}

// platforms are those that the published images are made for.
func platforms() []string { return []string{"linux/amd64", "linux/arm64"} }

// processor is the GOARCH that images are fetched for: that of the platform asked for, else that
// of the container engine, which need not be this machine's. A host without an engine can fetch
// images too, to be carried to one that has.
func (a *app) processor(ctx context.Context, platform string) (string, error) {
	if _, arch, asked := strings.Cut(platform, "/"); asked {
		return arch, nil
	}
	facts, err := cluster.Detect(ctx, "")
	switch {
	case errors.Is(err, cluster.ErrNoEngine):
		if !a.quiet {
			fmt.Fprintf(a.Err, "images: for linux/%s, as this machine: no container engine says another (--platform does)\n", runtime.GOARCH)
		}
		return runtime.GOARCH, nil
	case err != nil:
		return "", err
	}
	return cmp.Or(facts.Arch, runtime.GOARCH), nil
}

// sayCheck answers whether everything can be pulled, in one line or one object; err is why not.
func (a *app) sayCheck(m *plan.Mesh, err error) error {
	why := ""
	if err != nil {
		why = run.Redact(strings.TrimPrefix(err.Error(), "looking for the images in their registry: "))
	}
	switch {
	case a.output == "json":
		var substitutions []string
		message := m.ImagesFrom() + " can be pulled from"
		if m.Registry != nil {
			substitutions = m.Registry.Substitutions
		}
		if why != "" {
			message = why
		}
		werr := writeJSON(a.Out, struct {
			header
			CanPull    bool     `json:"canPull"`
			Registries []string `json:"registries"`
			Message    string   `json:"message"`
		}{newHeader("Images", m.Topology.Metadata.Name, substitutions), err == nil, strings.Split(m.ImagesFrom(), ", "), message})
		if werr != nil || err == nil {
			return werr
		}
		return quietExit(diag.ExitFailed)
	case err == nil:
		_, err := fmt.Fprintf(a.Out, "images: %s can be pulled from\n", m.ImagesFrom())
		return err
	case a.quiet:
		return diag.Hint(err, "`meshfed bundle build` makes them from source and asks no image registry")
	}
	first, _, _ := strings.Cut(why, "\n")
	fmt.Fprintln(a.Err, "images: no registry gives them here, so a bundle has to:", first)
	return quietExit(diag.ExitFailed)
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
			return usage(bundle.CheckMirror(args[0]))
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
				return diag.Hint(err, "`meshfed bundle push "+run.ShellWord(args[0])+"` goes on with what is missing")
			}
			if a.output == "json" {
				return a.writeManifest(b)
			}
			text := fmt.Sprintf("%d images and %d charts are on %s: write spec.images.mirror: %s\n", len(b.Images), len(b.Charts), args[0], args[0])
			if release := strings.TrimPrefix(b.Kubernetes, "v"); release != "" && release != images.Kubernetes {
				text += fmt.Sprintf("Kubernetes there is not %s: write provider.kind.kubernetes: %s for each cluster\n", images.Kubernetes, release)
			}
			_, err = a.Out.Write([]byte(text))
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
