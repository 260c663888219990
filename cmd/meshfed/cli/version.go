// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

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
			return printVersion(a.Out, info)
		},
	}
}

// printVersion leaves out what this build does not know.
func printVersion(w io.Writer, info version.Info) error {
	charts := "Istio charts " + info.Istio
	if info.IstioCommit != "" {
		charts += " (istio.io/istio " + info.IstioCommit + ")"
	}
	lines := []string{info.String(), charts, "Go " + strings.TrimPrefix(info.Go, "go") + ", " + info.Platform}
	var libraries []string
	for _, l := range [][2]string{{"Kubernetes client", info.Libraries.Kubernetes}, {"kind", info.Libraries.Kind}, {"Helm", info.Libraries.Helm}} {
		if l[1] != "" {
			libraries = append(libraries, l[0]+" "+strings.TrimPrefix(l[1], "v"))
		}
	}
	if len(libraries) > 0 {
		lines = append(lines, strings.Join(libraries, ", "))
	}
	_, err := fmt.Fprintln(w, strings.Join(append(lines, "probe "+info.ProbeImage), "\n"))
	return err
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
