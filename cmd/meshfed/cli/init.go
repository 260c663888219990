// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

func (a *app) init() *cobra.Command {
	var tests string
	var contexts []string
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a small commented topology file; never overwrites",
		Long: "Write a small commented topology file; never overwrites.\n\n" +
			"FILE is topology.yaml when it is not named, and - is standard output. The topology is\n" +
			"called after the file or, when that is topology.yaml, after its folder. Beside it goes\n" +
			"the schema by which editors complete and check the file.\n\n" +
			"--from-istio-test writes the clusters that a topology file of Istio's own integration\n" +
			"tests describes (prow/config/topology/*.json in istio.io/istio), and tells on standard\n" +
			"error what has no counterpart.\n\n" +
			"--from-contexts reads the running mesh behind contexts of your kubeconfig, changes nothing,\n" +
			"and writes the file that describes it: every cluster is your own and only checked (manage:\n" +
			"false), so that `plan` on it shows no change.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(diag.Hint(errors.New("init writes one file"), "`meshfed init topology.yaml`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path := a.file
			if len(args) == 1 {
				if cmd.Flags().Changed("file") && a.file != args[0] {
					return usage(diag.Hint(fmt.Errorf("two files are named, %s and -f %s", args[0], a.file), "name one"))
				}
				path = args[0]
			}
			switch {
			case tests != "" && len(contexts) > 0:
				return usage(diag.Hint(errors.New("--from-contexts and --from-istio-test exclude each other"), "name one"))
			case len(contexts) > 0:
				return a.writeContexts(cmd.Context(), path, contexts)
			case tests != "":
				return a.writeIstioTest(path, tests)
			}
			return a.writeTopology(path, starterName(path), "up", topology.Starter(starterName(path), ""))
		},
	}
	c.Flags().StringVar(&tests, "from-istio-test", "", "a topology `FILE` of Istio's own tests to begin with (- is standard input)")
	_ = c.MarkFlagFilename("from-istio-test", "json", "yaml") // fails for a flag that there is not
	c.Flags().StringSliceVar(&contexts, "from-contexts", nil, "the running mesh of clusters by their kubeconfig contexts")
	return c
}

// writeTopology puts a topology file where the user said, and the schema beside it; next is the
// command to go on with.
func (a *app) writeTopology(path, name, next string, text []byte) error {
	if path == stdin {
		if a.output == "json" {
			var err error
			if text, err = yaml.YAMLToJSON(text); err != nil {
				return fmt.Errorf("writing the topology as JSON: %w", err)
			}
			text = append(text, '\n')
		}
		_, err := a.Out.Write(text)
		return err
	}
	if err := create(path, text); err != nil {
		return err
	}
	schema := filepath.Join(filepath.Dir(path), topology.SchemaFile)
	foreign, err := writeSchema(schema)
	if err != nil {
		return err
	}
	if foreign && !a.quiet {
		fmt.Fprintf(a.Err, "warning: %s is something else than our schema and is left alone; `meshfed schema` prints ours\n", schema)
	}
	a.file = path // commands that are printed to be copied are about it
	if a.output == "json" {
		return writeJSON(a.Out, struct {
			header
			Path   string `json:"path"`
			Schema string `json:"schema"`
		}{newHeader("File", name, nil), path, schema})
	}
	_, err = fmt.Fprintf(a.Out, "%s: topology %s; next: %s\n", path, name, a.command(next))
	return err
}

// writeSchema puts the schema beside a topology file, in place of an older one. It leaves alone
// what is something else.
func writeSchema(path string) (foreign bool, err error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("looking at %s: %w", path, err)
	default:
		var there struct {
			ID string `json:"$id"`
		}
		if json.Unmarshal(data, &there) != nil || there.ID != topology.SchemaID {
			return true, nil
		}
	}
	err = replaceFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(topology.Schema())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("writing the schema %s: %w", path, err)
	}
	return false, nil
}

// create writes a file that must not be there yet.
func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return usage(diag.Hint(fmt.Errorf("%s is there already, and init never overwrites", path), "name another file, or - for standard output"))
	case errors.Is(err, fs.ErrNotExist):
		return usage(diag.Hint(fmt.Errorf("there is no folder %s", filepath.Dir(path)), "mkdir -p "+run.ShellWord(filepath.Dir(path))))
	case err != nil:
		return fmt.Errorf("writing the topology file: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err != nil {
		_ = os.Remove(path) // half a file would be in the way of the next init
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// starterName names a topology after its file or folder, so that two on one host differ.
func starterName(path string) string {
	const fallback = "mesh"
	if path == stdin {
		return fallback
	}
	base := filepath.Base(path)
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if name == "topology" {
		full, err := filepath.Abs(path)
		if err != nil {
			return fallback
		}
		name = filepath.Base(filepath.Dir(full))
	}
	name = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-")
	// The rest of what a name may have is for the clusters'.
	const most = 30
	name = strings.Trim(name[:min(len(name), most)], "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return fallback
	}
	return name
}

func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [topology|report]",
		Short: "The JSON schema of the topology file, for editors, or of the JSON report",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !contains(cmd.ValidArgs, args[0]) {
				return usage(diag.Hint(fmt.Errorf("there is no schema %q", strings.Join(args, " ")), "write `meshfed schema` or `meshfed schema report`"))
			}
			return nil
		},
		ValidArgs: []string{"topology", "report"},
		RunE: func(_ *cobra.Command, args []string) error {
			text := topology.Schema()
			if contains(args, "report") {
				text = verify.Schema()
			}
			_, err := a.Out.Write(text)
			return err
		},
	}
}
