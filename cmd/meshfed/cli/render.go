// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/render"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
)

const (
	renderVerb = "render"
	// ownOutput marks an -o of a command's own, which is not the form of its answer.
	ownOutput = "meshfed_own_output"
)

func (a *app) render() *cobra.Command {
	var dir, images string
	c := &cobra.Command{
		Use:   renderVerb,
		Short: "Manifests for each cluster, for GitOps, without private keys",
		Long: "Manifests for each cluster, for GitOps, without private keys.\n\n" +
			"Into the folder of -o goes one for each cluster, with the objects that `up` applies there, in stages,\n" +
			"and a README.md that says in which order, what is left out, and how that is made with kubectl and\n" +
			"openssl alone. It follows from the file: no cluster and no engine is asked, and a network only for\n" +
			"charts that the file names elsewhere, MetalLB's among them. The same file gives the same bytes.\n\n" +
			"Run again, it replaces its own files, removes those that are not rendered any more, and leaves\n" +
			"others alone. Here -o is a folder; MESHFED_OUTPUT=json makes the answer JSON.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(diag.Hint(fmt.Errorf("render takes no arguments, got %q", args[0]), "`meshfed render -f FILE -o DIR`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if form, ok := os.LookupEnv("MESHFED_OUTPUT"); ok {
				a.output = form
			}
			if !contains(outputs(cmd), a.output) {
				form := a.output
				a.output = "table"
				return usage(diag.Hint(fmt.Errorf("unknown output %q in MESHFED_OUTPUT", form), "write table or json"))
			}
			if dir == "" {
				return usage(diag.Hint(errors.New("render needs a folder to write to"), "`meshfed render -f "+run.ShellWord(a.file)+" -o DIR`"))
			}
			return a.renderInto(cmd.Context(), dir, images)
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "`DIR` that the manifests go into; made when it is absent")
	_ = c.Flags().SetAnnotation("output", ownOutput, nil) // fails for a flag that there is not
	c.Flags().StringVar(&images, "bundle", "", "the clusters' images are those of this bundle (default: the published ones)")
	c.AddCommand(a.rbac())
	return c
}

// renderInto writes the manifests and says what it did.
func (a *app) renderInto(ctx context.Context, dir, images string) error {
	t, err := a.load()
	if err != nil {
		return err
	}
	m := &plan.Mesh{Topology: t}
	if images != "" {
		if m.Bundle, err = bundle.Open(images); err != nil {
			return err
		}
	}
	if err := m.ResolveCharts(ctx); err != nil {
		return err
	}
	rendering, err := plan.Render(ctx, m)
	if err != nil {
		return err
	}
	files, err := rendering.Files(m)
	if err != nil {
		return err
	}
	other := a.ofOthers(t.Names())
	files = slices.DeleteFunc(files, func(f render.File) bool { return other(f.Path) })
	result, err := render.Write(dir, t.Metadata.Name, files, other)
	if err != nil {
		return err
	}
	return a.sayRendered(dir, m, rendering, files, result)
}

// ofOthers says whether a file belongs to a cluster that --clusters leaves out.
func (a *app) ofOthers(names []string) func(string) bool {
	return func(path string) bool {
		cluster, _, below := strings.Cut(path, "/")
		return below && len(a.clusters) > 0 && contains(names, cluster) && !contains(a.clusters, cluster)
	}
}

// renderedFile is one line of the answer.
type renderedFile struct {
	Path    string `json:"path"`
	Objects int    `json:"objects"`
	Bytes   int    `json:"bytes"`
}

func (a *app) sayRendered(dir string, m *plan.Mesh, rendering plan.Rendering, files []render.File, result render.Result) error {
	objects := map[string]int{}
	for _, m := range rendering.Manifests {
		objects[m.Path()] = len(m.Objects)
	}
	var list []renderedFile
	total := renderedFile{Path: fmt.Sprintf("%d files", len(files))}
	for _, f := range files {
		one := renderedFile{Path: f.Path, Objects: objects[f.Path], Bytes: len(f.Data)}
		total.Objects, total.Bytes = total.Objects+one.Objects, total.Bytes+one.Bytes
		list = append(list, one)
	}
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Folder  string          `json:"folder"`
			Files   []renderedFile  `json:"files"`
			Written []string        `json:"written,omitempty"`
			Removed []string        `json:"removed,omitempty"`
			Foreign []string        `json:"foreign,omitempty"`
			Omitted []plan.Omission `json:"omitted"`
		}{newHeader("Rendering", m.Topology.Metadata.Name, m.Substitutions()), dir, list, result.Written, result.Removed, result.Foreign, rendering.Omitted})
	}
	var rows [][]string
	for _, one := range append(list, total) {
		rows = append(rows, []string{one.Path, fmt.Sprint(one.Objects), fmt.Sprint(one.Bytes)})
	}
	if err := ui.Table(ui.Detect(a.Out, getenv), []string{"FILE", "OBJECTS", "BYTES"}, rows); err != nil {
		return err
	}
	if a.quiet {
		return nil
	}
	for _, path := range result.Removed {
		fmt.Fprintln(a.Err, "removed:", path)
	}
	for _, path := range result.Foreign {
		fmt.Fprintln(a.Err, "left alone, not rendered:", path)
	}
	fmt.Fprintf(a.Err, "%d files written, %d were so already, %d removed; %s says how they are applied and what is not there\n",
		len(result.Written), len(result.Same), len(result.Removed), filepath.Join(dir, "README.md"))
	return nil
}
