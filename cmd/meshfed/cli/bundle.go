// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) bundle() *cobra.Command {
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Images and charts in one directory, for hosts without a registry",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(diag.Hint(fmt.Errorf("unknown command %q", "bundle "+args[0]), "meshfed bundle pull, build, push or show"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.bundlePull(), a.bundleBuild(), a.bundlePush(), a.bundleShow())
	return c
}

func (a *app) bundleBuild() *cobra.Command {
	var options bundle.BuildOptions
	c := &cobra.Command{
		Use:   "build",
		Short: "Build every image from source; makes only what is missing or has changed",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A name that nobody can foresee: the folder is open to all, and this may be root.
			log, err := os.CreateTemp("", "meshfed-bundle-build-*.log")
			if err != nil {
				return fmt.Errorf("opening the build's log: %w", err)
			}
			defer func() { _ = log.Close() }()
			a.log, options.Log = log.Name(), log
			b, err := a.build(cmd.Context(), options)
			if err != nil {
				return diag.Hint(err, "`meshfed bundle build` goes on with what is missing")
			}
			_ = os.Remove(log.Name()) // it is for failures
			return a.sayBundle(b)
		},
	}
	c.Flags().StringVar(&options.Dir, "dir", "", "where the bundle goes (default $XDG_CACHE_HOME/meshfed/bundle)")
	c.Flags().StringVar(&options.CacheDir, "cache", "", "where what is built is kept (default $XDG_CACHE_HOME/meshfed/build)")
	c.Flags().BoolVar(&options.Prune, "prune", false, "remove what earlier builds left in the cache")
	return c
}

// build shows what is being built and how much is left.
func (a *app) build(ctx context.Context, options bundle.BuildOptions) (*bundle.Bundle, error) {
	observe, done := a.items(bundle.Items())
	options.Observe = observe
	b, err := bundle.Build(ctx, options)
	done()
	return b, err
}

// items shows the progress of a bundle's parts; done ends the view.
func (a *app) items(list []bundle.Item) (observe func(bundle.Progress), done func()) {
	if a.quiet {
		return nil, func() {}
	}
	var items []ui.Item
	for _, i := range list {
		items = append(items, ui.Item{Name: i.Name, Expected: time.Duration(i.Seconds * float64(time.Second))})
	}
	progress := ui.NewProgress(ui.Detect(a.Err, getenv), items)
	running := map[string]bool{}
	return func(p bundle.Progress) {
		switch {
		case p.Finished && p.Cached:
			progress.Skip(p.Item, "unchanged")
		case p.Finished:
			progress.Done(p.Item, nil)
		case !running[p.Item]:
			running[p.Item] = true
			progress.Start(p.Item)
		}
		if !p.Finished && p.Detail != "" {
			progress.State(p.Item, "%s", p.Detail)
		}
	}, progress.Close
}

func (a *app) bundleShow() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "show",
		Short: "What a bundle holds: versions, sizes, substitutions",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				dir = bundle.DefaultDir()
			}
			b, err := bundle.Open(dir)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.writeManifest(b)
			}
			return a.printBundle(b)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the bundle (default $XDG_CACHE_HOME/meshfed/bundle)")
	return c
}

func (a *app) printBundle(b *bundle.Bundle) error {
	out := ui.Detect(a.Out, getenv)
	fmt.Fprintf(a.Out, "%s\nmade %s, Kubernetes %s, Istio %s, %d Debian packages\n\n",
		b.Dir, b.Created.UTC().Format(time.DateTime), b.Kubernetes, b.Istio, len(b.Debian))
	var rows [][]string
	total := int64(0)
	for _, i := range b.Images {
		rows = append(rows, []string{i.Name, ui.ByteSize(i.Size), i.Source})
		total += i.Size
	}
	rows = append(rows, []string{"", ui.ByteSize(total), ""})
	if err := ui.Table(out, []string{"IMAGE", "SIZE", "FROM"}, rows); err != nil {
		return err
	}
	for _, s := range b.Substitutions {
		fmt.Fprintln(a.Out, "\nsubstitution:", s)
	}
	return nil
}

// writeManifest begins like every JSON object; what the bundle substitutes is its own list.
func (a *app) writeManifest(b *bundle.Bundle) error {
	h := newHeader("Bundle", "", nil)
	return writeJSON(a.Out, struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Tool       string `json:"tool"`
		Dir        string `json:"dir"`
		bundle.Manifest
	}{h.APIVersion, h.Kind, h.Tool, b.Dir, b.Manifest})
}
