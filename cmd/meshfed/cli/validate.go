// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/run"
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
				return a.writeRedacted(t)
			}
			_, err = fmt.Fprintf(a.Out, "%s: topology %s, %d clusters, is valid\n", a.file, t.Metadata.Name, len(t.Spec.Clusters))
			return err
		},
	}
}

// writeRedacted is writeJSON for what the user wrote: Helm values can hold keys.
func (a *app) writeRedacted(v any) error {
	var text bytes.Buffer
	if err := writeJSON(&text, v); err != nil {
		return err
	}
	_, err := a.Out.Write(run.RedactJSON(text.Bytes()))
	return err
}
