// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
)

// helpCommand takes the place of cobra's own, which ends with 0 for a command that there
// is not.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage(diag.Hint(fmt.Errorf("unknown command %q", strings.Join(args, " ")), "`meshfed help` lists the commands"))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// completion adds cobra's commands for shells, and an answer to a shell that there is not.
func completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args = func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(diag.Hint(fmt.Errorf("there is no completion for %q", args[0]), "write bash, zsh, fish or powershell"))
			}
			return nil
		}
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}
