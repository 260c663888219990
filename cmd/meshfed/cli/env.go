// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
)

// shells are how each family of shells sets a variable; the text is what stands around name
// and quoted value.
func shells() map[string]func(name, value string) string {
	posix := func(name, value string) string {
		return fmt.Sprintf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return map[string]func(name, value string) string{
		"sh": posix, "bash": posix, "zsh": posix,
		"fish": func(name, value string) string {
			return fmt.Sprintf("set -gx %s '%s'\n", name, strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value))
		},
		"powershell": func(name, value string) string {
			return fmt.Sprintf("$Env:%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
		},
	}
}

func (a *app) env() *cobra.Command {
	var shell string
	c := &cobra.Command{
		Use:   "env",
		Short: "KUBECONFIG and addresses, for a shell to evaluate",
		Long: "KUBECONFIG, and for each cluster CTX_<CLUSTER>, INGRESS_<CLUSTER> and EASTWEST_<CLUSTER>\n" +
			"(empty where there is none), for a shell to evaluate: eval \"$(meshfed env)\".\n" +
			"Hyphens in names become underscores.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := shells()[shell]
			if set == nil {
				return usage(diag.Hint(fmt.Errorf("there is no shell %q", shell), "write --shell sh, fish or powershell"))
			}
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			vars, err := a.variables(cmd.Context(), m)
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
			var text strings.Builder
			for _, v := range vars {
				text.WriteString(set(v[0], v[1]))
			}
			_, err = a.Out.Write([]byte(text.String()))
			return err
		},
	}
	c.Flags().StringVar(&shell, "shell", "sh", "for sh (also bash and zsh), fish or powershell")
	return c
}

// variables are what a script wants to know of the selected clusters.
func (a *app) variables(ctx context.Context, m *plan.Mesh) ([][2]string, error) {
	names := m.Selected()
	places := make([]place, len(names))
	errs := make([]error, len(names))
	atOnce(a.parallel, len(names), func(i int) { places[i], errs[i] = placeOf(ctx, m, names[i]) })
	for _, err := range errs {
		if err != nil {
			return nil, a.orMake(err)
		}
	}
	return variablesOf(places), nil
}

// orMake says how to get a cluster that is not there; other errors stay as they are.
func (a *app) orMake(err error) error {
	if !errors.Is(err, plan.ErrNoCluster) {
		return err
	}
	return diag.Hint(err, a.toMake())
}

func (a *app) toMake() string { return "`" + a.command("up") + "` makes what is missing" }

// variablesOf are names and values in a fixed order. A variable without a value is empty, so
// that scripts may use it under `set -u`.
func variablesOf(places []place) [][2]string {
	var files []string
	var rest [][2]string
	for _, p := range places {
		for _, file := range filepath.SplitList(p.kubeconfig) {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
		suffix := strings.ToUpper(strings.ReplaceAll(p.cluster, "-", "_"))
		rest = append(rest, [2]string{"CTX_" + suffix, p.context}, [2]string{"INGRESS_" + suffix, p.ingress}, [2]string{"EASTWEST_" + suffix, p.eastWest})
	}
	return append([][2]string{{"KUBECONFIG", strings.Join(files, string(filepath.ListSeparator))}}, rest...)
}

// place is how to reach one cluster from this host.
type place struct{ cluster, context, network, kubeconfig, ingress, eastWest string }

// placeOf asks the cluster. What an error is returned with holds what is known without asking.
func placeOf(ctx context.Context, m *plan.Mesh, name string) (place, error) {
	p := place{cluster: name, network: m.Topology.Cluster(name).Network}
	_, err := m.Client(ctx, name) // it writes the kubeconfig where that is missing
	if p.kubeconfig, p.context = m.KubeconfigOf(name); err != nil {
		return p, err
	}
	view, err := m.StatusOf(ctx, name)
	p.eastWest = view.EastWest
	switch {
	case len(view.URLs) > 0:
		p.ingress = view.URLs[0]
	case len(view.Published) > 0: // it will answer as soon as a Gateway listens
		p.ingress = "http://" + view.Published[0]
	}
	return p, err
}
