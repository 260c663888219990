// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
)

// planned lists the verbs of the command line contract that are not built yet, so that
// a script that needs one hears its name and not "unknown command".
var planned = []struct{ name, does string }{
	{"inspect", "one workload as every cluster sees it"},
	{"explain", "any diagnosis code or Envoy response flag"},
	{"fault", "break an owned mesh on purpose, and mend it"},
	{"certs", "chains, expiry and rotation"},
	{"upgrade", "revision by revision, verified in between"},
	{"measure", "control-plane golden signals"},
}

// later makes the commands that say they are not built yet.
func (a *app) later() []*cobra.Command {
	commands := make([]*cobra.Command, len(planned))
	for i, verb := range planned {
		commands[i] = a.notYet(verb.name, verb.does)
	}
	return commands
}

// notYet is a command that says it is not built yet.
func (a *app) notYet(name, does string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              "(not built yet) " + does,
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs, // whatever is asked of it, the answer is the same
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.begun = false // its flags were not parsed
			return usage(diag.Hint(fmt.Errorf("`%s` is not built yet (it will: %s)", cmd.CommandPath(), does),
				"`meshfed help` lists what is"))
		},
	}
}
