// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/verify"
)

func (a *app) diagnose() *cobra.Command {
	var contexts []string
	var bundle string
	c := &cobra.Command{
		Use:   "diagnose",
		Short: "What is broken, why, and how to fix it; reads only",
		Long: "What is broken, why, and how to fix it.\n\n" +
			"It asks control planes, gateways and proxies, and reads what the checks of trust and discovery need of\n" +
			"the API. It starts no probe and changes nothing; Secrets are read as far as they may be, and without\n" +
			"them it sees less. Causes stand before what they cause. What only requests can show is verify's.\n\n" +
			"With --bundle, what there is to see goes into one archive besides, for somebody who is to help from\n" +
			"afar: objects, logs, what istiods and gateways say of themselves, the last runs. No Secret is read for it.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(contexts) > 0 && cmd.Flags().Changed("file") {
				return usage(bothGiven())
			}
			if err := checkBundle(bundle); err != nil {
				return err
			}
			m, err := a.openAny(cmd.Context(), contexts, true)
			if err != nil {
				return err
			}
			if len(contexts) == 0 {
				// What can not be found out of a cluster is told below, as what could not be looked at.
				if err := m.Recover(cmd.Context(), true); err != nil && cmd.Context().Err() != nil {
					return err
				}
			}
			return a.printFindings(cmd.Context(), m, bundle)
		},
	}
	c.Flags().StringSliceVar(&contexts, "contexts", nil, "clusters by their kubeconfig contexts, without a file")
	c.Flags().StringVar(&bundle, "bundle", "", "also gather what there is to see, without secrets, in `FILE.tar.gz`")
	return c
}

// bothGiven is the error about a file and contexts together.
func bothGiven() error {
	return diag.Hint(errors.New("--contexts and --file exclude each other"), "with a file, name clusters with --clusters")
}

// diagnosis is what diagnose says, as JSON.
type diagnosis struct {
	header
	Summary  map[verify.Status]int `json:"summary"`
	Findings []verify.Finding      `json:"findings"`
	Unseen   []string              `json:"unseen"`
	// Bundle is the archive that was written, if one was.
	Bundle *bundled `json:"bundle,omitempty"`
}

// printFindings looks, and writes what is wrong to stdout, and all there is to bundle if that is named.
func (a *app) printFindings(ctx context.Context, m *plan.Mesh, bundle string) error {
	mesh, err := m.ToVerify(ctx, true)
	if err != nil {
		return errors.Join(err, a.bundleWithout(ctx, m, bundle, err))
	}
	report, err := verify.Run(ctx, mesh, verify.Options{Access: verify.Reading, Clusters: m.Selected()})
	if report == nil {
		return errors.Join(err, a.bundleWithout(ctx, m, bundle, err))
	}
	left, ferr := m.Faults(ctx)
	report.Checks = append(report.Checks, faultResults(left)...)
	findings, unseen := verify.Findings(report), report.Unseen()
	if ferr != nil {
		unseen = append(unseen, "faults on purpose could not be looked for: "+redacted(ferr).Error())
	}
	said := diagnosis{newHeader("Findings", report.Topology, report.Substitutions), report.Summary,
		append([]verify.Finding{}, findings...), append([]string{}, unseen...), nil}
	said.Tool = version.Get().String()
	if bundle != "" {
		if said.Bundle, err = a.writeBundle(ctx, m, mesh.Clients, bundle, map[string]any{"findings.json": said, "report.json": report}, nil); err != nil {
			return err
		}
	}
	code := diagnosed(report, findings, unseen)
	if a.output == "json" {
		return errors.Join(writeJSON(a.Out, said), quietExit(code))
	}
	block := a.findingsBlock(report, findings, unseen)
	block.Notes = append(block.Notes, said.Bundle.told()...)
	return errors.Join(ui.WriteBlock(ui.Detect(a.Out, getenv), block), quietExit(code))
}

// faultResults are faults on purpose that are under way, or that a killed run has left: what they
// bring about is put down to them.
func faultResults(faults []verify.Fault) []verify.Result {
	var all []verify.Result
	for _, f := range faults {
		all = append(all, verify.Result{ID: "failover-restored", Suite: verify.SuiteFailover, To: f.Cluster, Status: verify.Fail, Code: "LOC011", Message: f.Told()})
	}
	return all
}

// diagnosed is the exit code: an error found, else something that could not be looked at, else 0.
func diagnosed(report *verify.Report, findings []verify.Finding, unseen []string) int {
	for _, f := range findings {
		if f.Severity == verify.SeverityError {
			return diag.ExitCheckFailed
		}
	}
	if report.ExitCode() == verify.ExitInconclusive || len(unseen) > 0 {
		return diag.ExitInconclusive
	}
	return diag.ExitOK
}

func (a *app) findingsBlock(report *verify.Report, findings []verify.Finding, unseen []string) ui.Block {
	looked := report.Summary[verify.Pass] + report.Summary[verify.Fail] + report.Summary[verify.Warn]
	block := ui.Block{Mark: ui.Pass, Title: fmt.Sprintf("%s: nothing is found by %d looks", report.Topology, looked)}
	if len(findings) > 0 {
		roots := 0
		block.Mark = ui.Warn
		for _, f := range findings {
			mark := ui.Warn
			if f.Severity == verify.SeverityError {
				mark, block.Mark = ui.Fail, ui.Fail
			}
			text := fmt.Sprintf("%s %s", f.Code, f.Message)
			if len(f.CausedBy) == 0 {
				roots++
				text += ". " + f.Fix
			} else {
				text += " (because of " + causesInWords(f.CausedBy) + ")"
			}
			block.Problems = append(block.Problems, ui.Problem{Mark: mark, Text: text})
		}
		block.Title = fmt.Sprintf("%s: %s, of %s", report.Topology, counted(len(findings), "finding"), counted(roots, "cause"))
	}
	for _, u := range unseen {
		block.Problems = append(block.Problems, ui.Problem{Mark: ui.Inconclusive, Text: u})
	}
	if len(unseen) > 0 && block.Mark == ui.Pass {
		block.Mark = ui.Inconclusive
		block.Title = fmt.Sprintf("%s: nothing is found, and not all could be looked at", report.Topology)
	}
	for _, s := range report.Substitutions {
		block.Notes = append(block.Notes, "substitution: "+s)
	}
	block.Notes = append(block.Notes, "no request was sent: what only traffic can show is `meshfed verify`'s")
	return block
}

func causesInWords(causes []verify.Cause) string {
	var all []string
	for _, c := range causes {
		all = append(all, strings.TrimSpace(c.Code+" "+strings.Join(c.Clusters, ">")))
	}
	return strings.Join(all, ", ")
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
