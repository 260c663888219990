// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/run"
)

func (a *app) each() *cobra.Command {
	c := &cobra.Command{
		Use:   "each [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command once for each cluster, its output prefixed",
		Long: "Run a command once for each cluster, its output prefixed with the cluster's name (not with -q).\n\n" +
			"The command's environment has KUBECONFIG, CLUSTER, CONTEXT (and CTX), NETWORK, INGRESS and\n" +
			"EASTWEST of its cluster, and nothing on standard input:\n\n" +
			"  meshfed each -- kubectl get nodes\n" +
			"  meshfed each -- sh -c 'istioctl --context \"$CONTEXT\" proxy-status'\n\n" +
			"The exit code is 0 when the command succeeded for every cluster, else 1.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(diag.Hint(errors.New("each needs a command"), "`meshfed each -- kubectl get nodes`"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := exec.LookPath(args[0]); err != nil {
				return usage(diag.Hint(fmt.Errorf("there is no command %q: %w", args[0], errors.Unwrap(err)), "a shell's own words need a shell: `meshfed each -- sh -c '...'`"))
			}
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			results := a.runEach(cmd.Context(), m, args)
			if err := cmd.Context().Err(); err != nil {
				return fmt.Errorf("running %s in each cluster: %w", args[0], err)
			}
			return a.reportEach(cmd.Context(), m, args[0], results)
		},
	}
	c.Flags().SetInterspersed(false) // what follows the command belongs to it
	return c
}

// inCluster is how the command ended for one cluster.
type inCluster struct {
	Cluster  string `json:"cluster"`
	ExitCode int    `json:"exitCode"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	// Truncated says that only the end of stdout or stderr is there.
	Truncated bool `json:"truncated,omitempty"`
	// Error says why the command did not run.
	Error string `json:"error,omitempty"`
	// Hint says how to mend that.
	Hint string `json:"hint,omitempty"`
}

func (a *app) runEach(ctx context.Context, m *plan.Mesh, args []string) []inCluster {
	names := m.Selected()
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	results := make([]inCluster, len(names))
	var lines sync.Mutex // a line is written whole, whoever writes it
	atOnce(a.parallel, len(names), func(i int) {
		var stdout, stderr io.WriteCloser
		kept := [2]*ending{{}, {}}
		switch {
		case a.output == "json":
			stdout, stderr = kept[0], kept[1]
		case a.quiet:
			stdout, stderr = &locked{&lines, a.Out}, &locked{&lines, a.Err}
		default:
			prefix := fmt.Sprintf("%-*s | ", width, names[i])
			stdout, stderr = &prefixed{to: locked{&lines, a.Out}, prefix: prefix}, &prefixed{to: locked{&lines, a.Err}, prefix: prefix}
		}
		code, err := runIn(ctx, m, names[i], args, stdout, stderr)
		_, _ = stdout.Close(), stderr.Close()
		results[i] = inCluster{Cluster: names[i], ExitCode: code, Stdout: string(kept[0].data), Stderr: string(kept[1].data), Truncated: kept[0].cut || kept[1].cut}
		if err != nil {
			results[i].Error = run.Redact(err.Error())
			results[i].Hint = run.Redact(strings.Join(diag.Hints(a.orMake(err)), "; "))
		}
	})
	return results
}

// runIn runs the command for one cluster. The error says why it did not run.
func runIn(ctx context.Context, m *plan.Mesh, name string, args []string, stdout, stderr io.Writer) (int, error) {
	if ctx.Err() != nil {
		return diag.ExitInterrupted, ctx.Err()
	}
	if _, err := m.Client(ctx, name); err != nil {
		return diag.ExitFailed, err
	}
	// A command may well be about a cluster that is not whole: then there are no addresses.
	p, _ := placeOf(ctx, m, name)
	err := run.Command{
		Name: args[0], Args: args[1:], Stdout: stdout, Stderr: stderr,
		Env: []string{"KUBECONFIG=" + p.kubeconfig, "CLUSTER=" + p.cluster, "CONTEXT=" + p.context, "CTX=" + p.context,
			"NETWORK=" + p.network, "INGRESS=" + p.ingress, "EASTWEST=" + p.eastWest},
	}.Run(ctx)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return diag.ExitInterrupted, ctx.Err()
	case !errors.As(err, &exit):
		return diag.ExitFailed, err
	case exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil // as shells say it
	}
	return diag.ExitFailed, nil
}

// reportEach prints what JSON was asked for, and says where the command failed.
func (a *app) reportEach(ctx context.Context, m *plan.Mesh, program string, results []inCluster) error {
	var failed, hints []string
	for _, r := range results {
		switch {
		case r.Error != "":
			failed = append(failed, fmt.Sprintf("%s (%s)", r.Cluster, r.Error))
			hints = append(hints, r.Hint)
		case r.ExitCode != 0:
			failed = append(failed, fmt.Sprintf("%s (exit code %d)", r.Cluster, r.ExitCode))
		}
	}
	if a.output == "json" {
		err := writeJSON(a.Out, struct {
			header
			Clusters []inCluster `json:"clusters"`
		}{newHeader("Each", m.Topology.Metadata.Name, m.Substituted(ctx)), results})
		if err != nil || len(failed) == 0 {
			return err
		}
		return quietExit(diag.ExitFailed)
	}
	if len(failed) == 0 {
		return nil
	}
	err := fmt.Errorf("%s failed for %s", program, strings.Join(failed, ", "))
	for _, hint := range hints {
		err = diag.Hint(err, hint) // each text is shown once
	}
	return diag.WithExit(err, diag.ExitFailed)
}
