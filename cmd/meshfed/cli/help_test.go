// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshfed/meshfed/internal/golden"
)

// contract lists the commands that scripts may rely on.
var contract = []string{
	"init", "validate", "plan", "up", "status", "verify", "diagnose", "inspect", "explain", "fault", "certs", "kubeconfig",
	"env", "load", "each", "bundle", "render", "upgrade", "measure", "down", "schema", "version", "completion", "help",
}

// all lists every command there is, hidden ones and cobra's own among them.
func all() []*cobra.Command {
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("up")
	list := []*cobra.Command{root}
	for i := 0; i < len(list); i++ {
		list = append(list, list[i].Commands()...)
	}
	return list
}

func TestHelpRules(t *testing.T) {
	t.Parallel()
	for _, c := range all() {
		path := c.CommandPath()
		first := []rune(strings.TrimPrefix(c.Short, "(not built yet) ") + " ")[0]
		if strings.HasSuffix(c.Short, ".") || !unicode.IsUpper(first) && !c.Hidden {
			t.Errorf("%s: %q must begin with a capital and have no full stop", path, c.Short)
		}
		if len(c.Short) > 90 {
			t.Errorf("%s: %q does not fit a line", path, c.Short)
		}
		if c.Args == nil {
			t.Errorf("%s: nobody checks its arguments", path)
		}
		if !c.Runnable() {
			t.Errorf("%s: it does nothing", path)
		}
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || f.Name != strings.ToLower(f.Name) {
				t.Errorf("%s --%s: usage %q", path, f.Name, f.Usage)
			}
		})
	}
}

// TestHelp keeps what --help prints, of every command of ours, as a file to read.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range all() {
		if c.Hidden || strings.HasPrefix(c.CommandPath(), "meshfed completion") {
			continue
		}
		args := strings.Fields(c.CommandPath())[1:]
		name := "help/" + strings.Join(append([]string{"meshfed"}, args...), "-") + ".txt"
		t.Run(c.CommandPath(), func(t *testing.T) {
			t.Parallel()
			r := call(t, append(args, "--help")...)
			if r.code != 0 || r.err != "" {
				t.Errorf("exit code %d, stderr %q", r.code, r.err)
			}
			golden.Check(t, "testdata/"+name, r.stdout)
			if again := call(t, append([]string{"help"}, args...)...); again != r {
				t.Errorf("`help %s` says something else: %+v", strings.Join(args, " "), again)
			}
		})
	}
}

// TestContract: every command of the contract is there, or is refused by its name.
func TestContract(t *testing.T) {
	t.Parallel()
	there := map[string]*cobra.Command{}
	for _, c := range all() {
		if c.HasParent() && !c.Parent().HasParent() {
			there[c.Name()] = c
		}
	}
	for _, name := range contract {
		c := there[name]
		delete(there, name)
		if c == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		if !c.Hidden {
			continue
		}
		for _, args := range [][]string{{name}, {name, "x", "--bundle", "y", "-f", "z"}, {name, "--help"}} {
			call(t, args...).hinted(t, wrong, "`meshfed "+name+"` is not built yet", "meshfed help")
		}
	}
	for name := range there {
		t.Errorf("%s is not in the contract", name)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := call(t, "completion", shell); r.code != 0 || !strings.Contains(r.stdout, "meshfed") {
			t.Errorf("%s: exit code %d, %s", shell, r.code, r.err)
		}
	}
	call(t, "completion", "nosuch").hinted(t, wrong, "nosuch", "write bash")
}
