// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
)

// imageKnower is a provider that can tell by name which image every node has: the digest of its
// configuration.
type imageKnower interface {
	ImageIDs(ctx context.Context, cluster string) (map[string]string, error)
}

func (a *app) loadImages() *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE|ARCHIVE...",
		Short: "Images of the container engine, or .tar archives, into every kind cluster",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(diag.Hint(errors.New("load needs an image or an archive"), "`meshfed load shop:dev`, or `meshfed load shop.tar`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := findArchives(args)
			if err != nil {
				return usage(err)
			}
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			return a.runLoad(cmd.Context(), m, sources)
		},
	}
}

// source is what one argument names.
type source struct {
	// image is a name that the engine knows, or "" for an archive that was named.
	image string
	// path of the archive.
	path string
	// holds are the images of the archive, once it is there.
	holds []archived
}

// findArchives tells archives from images, and refuses archives that can not be read. What is
// named twice is loaded once.
func findArchives(args []string) ([]*source, error) {
	var sources []*source
	var errs []error
	for i, arg := range args {
		if slices.Contains(args[:i], arg) {
			continue
		}
		info, err := os.Stat(arg)
		named := strings.HasSuffix(arg, ".tar") || strings.HasSuffix(arg, ".tar.gz") || strings.HasSuffix(arg, ".tgz")
		switch {
		case err == nil && info.IsDir() && named:
			errs = append(errs, fmt.Errorf("%s is a folder, not an image archive", arg))
		case err == nil && info.Mode().IsRegular():
			holds, err := readArchive(arg)
			if err != nil {
				errs = append(errs, diag.Hint(err, "docker save and podman save write what load reads"))
			}
			sources = append(sources, &source{path: arg, holds: holds})
		case named:
			errs = append(errs, fmt.Errorf("reading image archive %s: %w", arg, err))
		default:
			sources = append(sources, &source{image: arg})
		}
	}
	return sources, errors.Join(errs...)
}

// missing names the images that the engine does not have.
func missing(ctx context.Context, e cluster.Engine, sources []*source) error {
	var errs []error
	for _, s := range sources {
		if s.image == "" {
			continue
		}
		_, there, err := cluster.ImageLabels(ctx, e, s.image)
		switch {
		case err != nil:
			return err
		case !there:
			errs = append(errs, diag.Hint(fmt.Errorf("%s does not have the image %s", e.Name(), s.image),
				fmt.Sprintf("`%s pull %s`, or build it; or name an archive (.tar)", e.Name(), run.ShellWord(s.image))))
		}
	}
	return errors.Join(errs...)
}

// loaded is one image in one cluster, as load left it.
type loaded struct {
	Image string `json:"image"`
	// Action is "loaded", or "present" when the nodes had it.
	Action string `json:"action"`
}

func (a *app) runLoad(ctx context.Context, m *plan.Mesh, sources []*source) error {
	names := slices.DeleteFunc(m.Selected(), func(name string) bool { return m.Topology.Cluster(name).IsExisting() })
	if len(names) < len(m.Selected()) && (len(a.clusters) > 0 || len(names) == 0) {
		return usage(diag.Hint(errors.New("load brings images into the nodes of kind clusters; those of "+strings.Join(m.Existing(), ", ")+" are your own"),
			"push the image to a registry that they pull from"))
	}
	if err := missing(ctx, m.Engine, sources); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "meshfed-load-") // 0700
	if err != nil {
		return fmt.Errorf("making a folder for archives: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var steps []graph.Step
	var needs []string
	for i, s := range sources {
		if s.image != "" {
			s.path = filepath.Join(dir, fmt.Sprint(i, ".tar"))
			steps = append(steps, saving(m.Engine, s))
			needs = append(needs, "save "+s.image)
		}
	}
	results := make([][]loaded, len(names))
	for i, name := range names {
		steps = append(steps, loading(m, name, sources, &results[i], needs))
	}
	observe, done := a.view(steps)
	result := graph.Run(ctx, steps, graph.Options{Parallel: a.parallel, Observe: observe})
	done()
	return a.printLoaded(ctx, m, names, results, a.orMake(result.Err()))
}

// saving writes an image of the engine to a file.
func saving(e cluster.Engine, s *source) graph.Step {
	return graph.Step{
		ID: "save " + s.image, Title: "image from " + e.Name(),
		Look: func(context.Context) (graph.Change, error) {
			if s.holds != nil {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Create}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return fmt.Errorf("saving image %s: %w", s.image, err)
			}
			err = e.Pipe(ctx, nil, f, "save", s.image)
			if err = errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("saving image %s from %s: %w", s.image, e.Name(), err)
			}
			s.holds, err = readArchive(s.path)
			return err
		},
	}
}

// loading brings all sources into one cluster, one after the other, and notes what it did.
func loading(m *plan.Mesh, name string, sources []*source, done *[]loaded, needs []string) graph.Step {
	kindName := m.Topology.KindName(name)
	finished := false
	return graph.Step{
		ID: "load@" + name, Cluster: name, Title: "images", Needs: needs,
		Look: func(context.Context) (graph.Change, error) {
			if finished {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Update}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			*done = nil
			if _, err := m.Client(ctx, name); err != nil {
				return diag.Op(err, name, "loading images")
			}
			have := map[string]string{}
			if knows, ok := m.Provider.(imageKnower); ok {
				var err error
				if have, err = knows.ImageIDs(ctx, kindName); err != nil {
					return diag.Op(err, name, "looking at the nodes' images")
				}
			}
			for _, s := range sources {
				action := "present"
				if !s.in(have) {
					action = "loaded"
					graph.State(ctx, "loading %s", s.named())
					if err := m.Provider.LoadImages(ctx, kindName, func() (io.ReadCloser, error) { return openArchive(s.path) }); err != nil {
						return diag.Op(err, name, "loading "+s.named())
					}
				}
				for _, image := range s.images() {
					*done = append(*done, loaded{Image: image, Action: action})
				}
			}
			finished = true
			return nil
		},
	}
}

// printLoaded says what every cluster has now, also when some failed.
func (a *app) printLoaded(ctx context.Context, m *plan.Mesh, names []string, results [][]loaded, err error) error {
	if a.output == "json" {
		if err != nil {
			return err
		}
		type inOne struct {
			Cluster string   `json:"cluster"`
			Images  []loaded `json:"images"`
		}
		var clusters []inOne
		for i, name := range names {
			clusters = append(clusters, inOne{name, results[i]})
		}
		return writeJSON(a.Out, struct {
			header
			Clusters []inOne `json:"clusters"`
		}{newHeader("Load", m.Topology.Metadata.Name, m.Substituted(ctx)), clusters})
	}
	var rows [][]string
	for i, name := range names {
		for _, r := range results[i] {
			says := "loaded"
			if r.Action == "present" {
				says = "was there already"
			}
			rows = append(rows, []string{name, r.Image, says})
		}
	}
	if len(rows) > 0 {
		err = errors.Join(ui.Table(ui.Detect(a.Out, getenv), []string{"CLUSTER", "IMAGE", ""}, rows), err)
	}
	return err
}
