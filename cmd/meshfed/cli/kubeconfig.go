// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/diag"
)

func (a *app) kubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig [CLUSTER]",
		Short: "The kubeconfig of one cluster, or of all in one",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(diag.Hint(errors.New("name one cluster, or none for all"), "`meshfed kubeconfig --clusters a,b` joins some"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
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
				return a.orMake(err)
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
}
