// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshfed/meshfed/internal/diag"
)

// unbuilt is the value of a flag of the contract that is not built yet. It takes what it is
// given, so that parsing goes on and the flag is refused by its name and not by its form.
type unbuilt struct {
	takes string
	given string
}

func (u *unbuilt) String() string     { return u.given }
func (u *unbuilt) Set(s string) error { u.given = s; return nil }
func (u *unbuilt) Type() string       { return u.takes }

// notBuilt adds a flag that is refused by its name; takes is "" for one without a value.
func notBuilt(f *pflag.FlagSet, name, takes, does string) {
	flag := f.VarPF(&unbuilt{takes: takes}, name, "", "(not built yet) "+does)
	flag.Hidden = true
	if takes == "" {
		flag.NoOptDefVal = "true"
	}
}

// unbuiltFlags are the flags of the contract that are planned and not built, by verb.
func unbuiltFlags(verb string, f *pflag.FlagSet) {
	switch verb {
	case "kubeconfig":
		notBuilt(f, "merge", "", "into the user's own kubeconfig")
	}
}

// refuseUnbuilt says which flag of the command line, or of the environment, is not built.
func refuseUnbuilt(cmd *cobra.Command) error {
	var refused error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(*unbuilt); ok && f.Changed && refused == nil {
			refused = unbuiltError(cmd, f)
		}
	})
	return refused
}

func unbuiltError(cmd *cobra.Command, f *pflag.Flag) error {
	err := fmt.Errorf("`%s --%s` is not built yet (it will: %s)", cmd.CommandPath(), f.Name, strings.TrimPrefix(f.Usage, "(not built yet) "))
	if f.Name == "merge" {
		return diag.Hint(err, "KUBECONFIG can name several files: `meshfed env`")
	}
	return diag.Hint(err, "`"+cmd.CommandPath()+" --help` lists the flags that are")
}

// flagError is the answer to flags that can not be parsed.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		if _, ok := missing.GetFlag().Value.(*unbuilt); ok {
			return usage(unbuiltError(cmd, missing.GetFlag()))
		}
	}
	return usage(diag.Hint(err, "`"+cmd.CommandPath()+" --help` lists the flags"))
}
