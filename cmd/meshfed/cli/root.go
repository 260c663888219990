// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// Streams are the three that every program has. Results go to Out, progress and errors
// to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Program is how the program was called, for commands that are printed to be copied;
	// empty means meshfed.
	Program string
	// Libraries is what CatchLibraries gave to main; nil elsewhere.
	Libraries *Libraries
}

// app is what the flags of one invocation say.
type app struct {
	Streams
	file, output, stateDir string
	set, clusters          []string
	parallel               int
	timeout                time.Duration
	verbose, quiet         bool
	// begun says that the command line was understood; errors before are the user's.
	begun bool
	// overdue says that --timeout is over; nil without one.
	overdue func() bool
	// log is the file of the current run, named at the end of a failure; empty before.
	log string
	// inputRead is what standard input held, once it was read for -f -.
	inputRead []byte
	// topology is what the file said, once it was read and found right.
	topology *topology.Topology
	// reports are the paths of --report, suites what --suite says, and report what was judged.
	reports, suites []string
	report          *verify.Report
	// steps of the up that the report will be about; nil for other commands.
	steps []verify.StepTime
	// looksOnly says that the command changes nothing, so that the container engine need be asked
	// each question only once.
	looksOnly bool
	// failover says that the command verifies the suite failover too, unless suites are named.
	failover bool
	// live says that time lines are drawn, timeline draws one; nil where nothing can be drawn.
	live     bool
	timeline func(ui.Timeline)
	// disruptive says that it takes gateways and networks away too.
	disruptive bool
	// passive says that the command verifies without probes.
	passive bool
}

// Run executes one command line and returns the exit code. It blocks until the command
// ends; a cancelled context ends it within seconds and makes the code 130. Errors are
// printed here and nowhere else.
func Run(ctx context.Context, args []string, streams Streams) int {
	a := &app{Streams: streams}
	if len(args) > 0 && args[0] == kindVerb {
		return a.exit(kindChild(ctx, args[1:], streams))
	}
	root := a.root() //nolint:contextcheck // cobra carries the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.begun {
		err = usage(err)
	}
	// Arguments may be wrong before -o was read; the answer has its form all the same.
	if err != nil && !a.begun && askedForJSON(args) {
		a.output = "json"
	}
	if err != nil && a.overdue != nil && a.overdue() {
		err = diag.Hint(fmt.Errorf("the command took longer than --timeout %s: %w", a.timeout, err),
			"give it more time; what exists stays, and the same command goes on from there")
	}
	return a.exit(a.finishReports(err))
}

// askedForJSON looks for -o json in a command line that could not be parsed as a whole.
func askedForJSON(args []string) bool {
	asked := os.Getenv("MESHFED_OUTPUT")
	for i, arg := range args {
		if arg == "--" || arg == renderVerb {
			break // what follows is another command's, or -o is a folder
		}
		switch {
		case (arg == "-o" || arg == "--output") && i+1 < len(args):
			asked = args[i+1]
		case strings.HasPrefix(arg, "--output="):
			asked = strings.TrimPrefix(arg, "--output=")
		case strings.HasPrefix(arg, "-o") && !strings.HasPrefix(arg, "--"):
			asked = strings.TrimPrefix(strings.TrimPrefix(arg, "-o"), "=")
		}
	}
	return asked == "json"
}

// root lists all verbs.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "meshfed",
		Short:             "One topology file in, a proven multi-cluster Istio mesh out",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.prepare,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := fmt.Errorf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usage(diag.Hint(err, "did you mean `meshfed "+near[0]+"`?"))
			}
			return usage(diag.Hint(err, "`meshfed help` lists the commands"))
		},
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(flagError)
	a.globalFlags(root.PersistentFlags())
	root.SetHelpCommand(helpCommand())
	root.AddCommand(a.init(), a.schema(), a.validate(), a.plan(), a.up(), a.status(), a.verify(), a.diagnose(), a.down(), a.kubeconfig(), a.env(),
		a.loadImages(), a.each(), a.render(), a.bundle(), a.version())
	for _, c := range root.Commands() {
		unbuiltFlags(c.Name(), c.Flags())
	}
	root.AddCommand(a.later()...)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	completion(root) // it takes the output of now
	a.completions(root)
	return root
}

func (a *app) globalFlags(f *pflag.FlagSet) {
	f.StringVarP(&a.file, "file", "f", "topology.yaml", "topology file; - is standard input")
	f.StringVarP(&a.output, "output", "o", "table", "output: table or json (plan: also dot and commands)")
	f.StringArrayVar(&a.set, "set", nil, "`path=value` laid over the file, as strict as the file; repeatable")
	f.StringVar(&a.stateDir, "state-dir", "", "where state is kept (default $XDG_STATE_HOME/meshfed)")
	f.StringSliceVar(&a.clusters, "clusters", nil, "only these clusters, and pairs with both ends among them")
	f.IntVar(&a.parallel, "parallel", 0, "steps at once (default: all that are ready)")
	f.DurationVar(&a.timeout, "timeout", 0, "bound on the whole command (default: each step's own)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "show every event and what the child processes say")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress; results and errors only")
}

// prepare runs before every command: environment, checks of flags, the overall deadline.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	if cmd.Name() == cobra.ShellCompRequestCmd || cmd.Name() == cobra.ShellCompNoDescRequestCmd {
		return nil // a key press in a shell: nothing that is wrong in its environment belongs there
	}
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return usage(err)
	}
	if err := refuseUnbuilt(cmd); err != nil {
		return usage(err)
	}
	if forms := outputs(cmd); !contains(forms, a.output) {
		last := len(forms) - 1
		return usage(diag.Hint(fmt.Errorf("unknown output %q", a.output), "write -o "+strings.Join(forms[:last], ", -o ")+" or -o "+forms[last]))
	}
	if a.parallel < 0 {
		return usage(diag.Hint(fmt.Errorf("--parallel is %d, less than nothing", a.parallel), "write how many steps may run at once, or leave it out"))
	}
	if a.timeout < 0 {
		return usage(diag.Hint(fmt.Errorf("--timeout is %s, less than nothing", a.timeout), "write a duration such as 10m, or leave it out"))
	}
	if err := a.checkReports(); err != nil {
		return err
	}
	if a.verbose {
		a.Libraries.also(a.Err)
	}
	full := cmd.Flags().Lookup("verify")
	a.failover = cmd.Name() == "verify" || full != nil && full.Value.String() == "full"
	a.begun = true
	if a.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		context.AfterFunc(ctx, cancel)
		a.overdue = func() bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
		cmd.SetContext(ctx)
	}
	return nil
}

// fromEnvironment lets MESHFED_STATE_DIR stand for --state-dir, and so on; a flag on the
// command line wins.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if _, folder := f.Annotations[ownOutput]; folder {
			return // the variable is about the form of answers
		}
		name := "MESHFED_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed || failed != nil || f.Name == "help" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = diag.Hint(fmt.Errorf("reading %s: %w", name, err), "unset "+name+", or write what --"+f.Name+" takes")
		}
	})
	return failed
}

// usage marks a mistake in what was written, exit code 2.
func usage(err error) error { return diag.WithExit(err, diag.ExitUsage) }

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := "`" + cmd.CommandPath() + " --help`"
		if strings.HasSuffix(args[0], ".yaml") || strings.HasSuffix(args[0], ".yml") {
			hint = "name the file with -f: `" + cmd.CommandPath() + " -f " + args[0] + "`"
		}
		return usage(diag.Hint(fmt.Errorf("%s takes no arguments, got %q", cmd.CommandPath(), args[0]), hint))
	}
	return nil
}
