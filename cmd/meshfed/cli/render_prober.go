// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/prober"
	"github.com/meshfed/meshfed/internal/render"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/topology"
)

func (a *app) renderProber() *cobra.Command {
	var dir, image, bundleDir string
	c := &cobra.Command{
		Use:   "prober",
		Short: "Manifests of a prober for each cluster, alert rules and a Grafana dashboard",
		Long: "Manifests of a prober for each cluster, alert rules and a Grafana dashboard.\n\n" +
			"A prober stays in its cluster, asks those of the others, and exports its row of the matrix to\n" +
			"Prometheus. It has no rights on the API and no token. kubectl apply -f west.yaml installs that of\n" +
			"west, and kubectl delete -f removes it again. The rules and the dashboard are for the metrics of\n" +
			"`verify --watch`, too. It follows from the file; no cluster is asked.\n\n" +
			"Here -o is a folder of its own; MESHFED_OUTPUT=json makes the answer JSON.",
		Args: noArgs,
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
				return usage(diag.Hint(errors.New("render prober needs a folder to write to"), "`meshfed render prober -f "+run.ShellWord(a.file)+" -o DIR`"))
			}
			t, err := a.load()
			if err != nil {
				return err
			}
			if image == "" && bundleDir != "" {
				b, err := bundle.Open(bundleDir)
				if err != nil {
					return err
				}
				image = b.ProbeImage()
			}
			return a.writeProbers(dir, t, cmp.Or(image, t.Spec.Verify.Probe.Image, images.Probe()))
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "`DIR` that the files go into; made when it is absent")
	_ = c.Flags().SetAnnotation("output", ownOutput, nil) // fails for a flag that there is not
	c.Flags().StringVar(&image, "image", "", "the probe's image (default: that of the file, of --bundle, or the published one)")
	c.Flags().StringVar(&bundleDir, "bundle", "", "the probe's image is that of this bundle")
	return c
}

// writeProbers brings the folder up to date and says what it did.
func (a *app) writeProbers(dir string, t *topology.Topology, image string) error {
	made, err := prober.Files(t, image)
	if err != nil {
		return err
	}
	var files []render.File
	for _, path := range slices.Sorted(maps.Keys(made)) {
		files = append(files, render.File{Path: path, Data: made[path]})
	}
	// Another name than that of `render`: neither takes the other's folder for its own.
	result, err := render.Write(dir, t.Metadata.Name+" probers", files, func(string) bool { return false })
	if err != nil {
		return err
	}
	var list []renderedFile
	var rows [][]string
	for _, f := range files {
		list = append(list, renderedFile{Path: f.Path, Bytes: len(f.Data)})
		rows = append(rows, []string{f.Path, fmt.Sprint(len(f.Data))})
	}
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Folder  string         `json:"folder"`
			Image   string         `json:"image"`
			Files   []renderedFile `json:"files"`
			Written []string       `json:"written,omitempty"`
			Removed []string       `json:"removed,omitempty"`
			Foreign []string       `json:"foreign,omitempty"`
		}{newHeader("Rendering", t.Metadata.Name, nil), dir, image, list, result.Written, result.Removed, result.Foreign})
	}
	if err := ui.Table(ui.Detect(a.Out, getenv), []string{"FILE", "BYTES"}, rows); err != nil || a.quiet {
		return err
	}
	for _, path := range result.Removed {
		fmt.Fprintln(a.Err, "removed:", path)
	}
	fmt.Fprintf(a.Err, "image: %s; %d files written, %d were so already; %s says how they are applied\n",
		image, len(result.Written), len(result.Same), filepath.Join(dir, "README.md"))
	return nil
}
