// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the file and the local files it names; no network",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := a.load()
			if err != nil {
				return err
			}
			if a.output == "json" {
				return writeJSON(a.Out, t)
			}
			_, err = fmt.Fprintf(a.Out, "%s: topology %s, %d clusters, is valid\n", a.file, t.Metadata.Name, len(t.Spec.Clusters))
			return err
		},
	}
}
