// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// completions say what a shell may offer for flags and arguments. They read the topology file
// at hand and nothing else, so that a key press never waits for a network, and they are silent
// about everything that is wrong.
func (a *app) completions(root *cobra.Command) {
	nothing := cobra.NoFileCompletions
	choices := func(list ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	files := func(extensions ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(extensions, cobra.ShellCompDirectiveFilterFileExt)
	}
	folders := cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	flag := func(c *cobra.Command, name string, f cobra.CompletionFunc) {
		_ = c.RegisterFlagCompletionFunc(name, f) // fails for a flag that there is not: nothing to complete
	}
	flag(root, "file", files("yaml", "yml"))
	flag(root, "state-dir", folders)
	flag(root, "clusters", listed(a.clusterNames))
	for _, name := range []string{"set", "parallel", "timeout"} {
		flag(root, name, nothing)
	}
	flag(root, "output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return outputs(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	for _, c := range root.Commands() {
		flag(c, "verify", choices(verifyModes...))
		flag(c, "suite", listed(func(*cobra.Command) []string { return verify.Suites() }))
		flag(c, "report", files("html", "svg", "md", "json", "xml"))
		flag(c, "shell", choices("sh", "fish", "powershell"))
		flag(c, "bundle", folders)
		for _, sub := range c.Commands() {
			flag(sub, "dir", folders)
			flag(sub, "cache", folders)
		}
		switch c.Name() {
		case "kubeconfig":
			c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) > 0 {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return a.clusterNames(cmd), cobra.ShellCompDirectiveNoFileComp
			}
		case "load": // an image can not be offered without asking the engine
			c.ValidArgsFunction = files("tar", "tgz", "tar.gz")
		case renderVerb:
			flag(c, "output", folders)
			c.ValidArgsFunction = nothing
		case "init":
			c.ValidArgsFunction = files("yaml", "yml")
		case "each", "help", "completion":
		default:
			c.ValidArgsFunction = nothing
		}
	}
}

// outputs are the forms that a command can print.
func outputs(cmd *cobra.Command) []string {
	if cmd.Name() == "plan" {
		return append([]string{"table", "json"}, planOutputs()...)
	}
	return []string{"table", "json"}
}

// listed completes a list with commas: what was written stays, and is not offered again.
func listed(all func(*cobra.Command) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := ""
		if i := strings.LastIndexByte(typed, ','); i >= 0 {
			before = typed[:i+1]
		}
		chosen := strings.Split(before, ",")
		var offers []string
		for _, one := range all(cmd) {
			name, _, _ := strings.Cut(one, "\t")
			if !slices.Contains(chosen, name) {
				offers = append(offers, before+one)
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// clusterNames are the clusters of the file at hand, each with its kubeconfig context as a
// description; none when there is no file.
func (a *app) clusterNames(cmd *cobra.Command) []string {
	_ = fromEnvironment(cmd.Flags()) // MESHFED_FILE; what is wrong in it is said by the command itself
	if a.file == stdin {
		return nil
	}
	t, err := topology.Load(a.file, a.set...)
	if err != nil {
		return looseNames(a.file)
	}
	var names []string
	for _, name := range t.Names() {
		names = append(names, name+"\t"+t.Context(name))
	}
	return names
}

// looseNames finds clusters in a file that is being written and not valid yet.
func looseNames(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) > topology.MaxFileSize {
		return nil
	}
	var file struct {
		Spec struct {
			Clusters []struct {
				Name string `json:"name"`
			} `json:"clusters"`
		} `json:"spec"`
	}
	if yaml.Unmarshal(data, &file) != nil {
		return nil
	}
	var names []string
	for _, c := range file.Spec.Clusters {
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	return names
}
