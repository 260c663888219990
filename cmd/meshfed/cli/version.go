// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/topology"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "What this build is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			info := version.Get()
			info.Istio = topology.IstioVersion
			if a.output == "json" {
				return writeJSON(a.Out, struct {
					header
					version.Info
				}{newHeader("Version", "", nil), info})
			}
			_, err := fmt.Fprintf(a.Out, "%s\nIstio charts %s\n", info, info.Istio)
			return err
		},
	}
}

// writeJSON prints one object, indented, with a newline.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// header begins every JSON object of the contract.
type header struct {
	APIVersion    string   `json:"apiVersion"`
	Kind          string   `json:"kind"`
	Tool          string   `json:"tool"`
	Topology      string   `json:"topology,omitempty"`
	Substitutions []string `json:"substitutions"`
}

func newHeader(kind, name string, substitutions []string) header {
	if substitutions == nil {
		substitutions = []string{}
	}
	return header{APIVersion: topology.APIVersion, Kind: kind, Tool: version.Get().String(), Topology: name, Substitutions: substitutions}
}
