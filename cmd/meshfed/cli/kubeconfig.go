// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
)

func (a *app) kubeconfig() *cobra.Command {
	var merge bool
	c := &cobra.Command{
		Use:   "kubeconfig [CLUSTER]",
		Short: "The kubeconfig of one cluster, or of all in one",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(diag.Hint(errors.New("name one cluster, or none for all"), "`meshfed kubeconfig --clusters a,b` joins some"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if merge {
				return usage(diag.Hint(errors.New("--merge is not built yet"), "KUBECONFIG can name several files: `meshfed env`"))
			}
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			names := m.Selected()
			if len(args) == 1 {
				if m.Topology.Cluster(args[0]) == nil {
					return usage(diag.Hint(fmt.Errorf("there is no cluster %q", args[0]), "there are "+strings.Join(m.Topology.Names(), ", ")))
				}
				names = args
			}
			data, err := m.Kubeconfig(cmd.Context(), names)
			if err != nil {
				return err
			}
			if a.output == "json" {
				// kubectl reads a kubeconfig in JSON too, so it keeps its own form.
				if data, err = yaml.YAMLToJSON(data); err != nil {
					return fmt.Errorf("writing the kubeconfig as JSON: %w", err)
				}
				data = append(data, '\n')
			}
			_, err = a.Out.Write(data)
			return err
		},
	}
	c.Flags().BoolVar(&merge, "merge", false, "into the user's own kubeconfig (not built yet)")
	return c
}

func (a *app) env() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "KUBECONFIG and addresses, for a shell to evaluate",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			vars, err := a.variables(cmd, m)
			if err != nil {
				return err
			}
			if a.output == "json" {
				object := map[string]string{}
				for _, v := range vars {
					object[v[0]] = v[1]
				}
				return writeJSON(a.Out, struct {
					header
					Variables map[string]string `json:"variables"`
				}{newHeader("Environment", m.Topology.Metadata.Name, m.Substituted(cmd.Context())), object})
			}
			for _, v := range vars {
				fmt.Fprintf(a.Out, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
			}
			return nil
		},
	}
}

// variables are what a script wants to know, in a fixed order.
func (a *app) variables(cmd *cobra.Command, m *plan.Mesh) ([][2]string, error) {
	var files []string
	var rest [][2]string
	for _, name := range m.Selected() {
		if _, err := m.Client(cmd.Context(), name); err != nil {
			return nil, err
		}
		path := m.State.Kubeconfig(name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files = append(files, path)
		suffix := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		rest = append(rest, [2]string{"CTX_" + suffix, m.Topology.Context(name)})
		view, err := m.StatusOf(cmd.Context(), name)
		if err != nil {
			return nil, err
		}
		if len(view.URLs) > 0 {
			rest = append(rest, [2]string{"INGRESS_" + suffix, view.URLs[0]})
		}
		if view.EastWest != "" {
			rest = append(rest, [2]string{"EASTWEST_" + suffix, view.EastWest})
		}
	}
	return append([][2]string{{"KUBECONFIG", strings.Join(files, string(filepath.ListSeparator))}}, rest...), nil
}
