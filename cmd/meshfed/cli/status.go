// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/plan"
	"github.com/meshfed/meshfed/internal/ui"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Clusters, versions, gateways, credentials and when they end; no traffic",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			// What can not be found out is said of each cluster below.
			if err := m.Recover(cmd.Context(), true); err != nil && cmd.Context().Err() != nil {
				return err
			}
			s, err := m.Status(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == "json" {
				err = writeJSON(a.Out, struct {
					header
					Healthy  bool                 `json:"healthy"`
					Clusters []plan.ClusterStatus `json:"clusters"`
					Verified *time.Time           `json:"lastVerify,omitempty"`
				}{newHeader("Status", m.Topology.Metadata.Name, s.Substitutions), s.Healthy(), s.Clusters, verifiedAt(m)})
			} else {
				err = a.printStatus(m, s)
			}
			if err == nil && !s.Healthy() {
				return quietExit(diag.ExitCheckFailed)
			}
			return err
		},
	}
}

func verifiedAt(m *plan.Mesh) *time.Time {
	last := lastVerify(m)
	if last.StartedAt.IsZero() {
		return nil
	}
	return &last.StartedAt
}

// expires is "" for a credential of which nobody knows when it ends; its note says so.
func expires(k plan.Credential) string {
	if k.Expires.IsZero() {
		return ""
	}
	return k.Expires.UTC().Format(time.RFC3339)
}

func (a *app) printStatus(m *plan.Mesh, s plan.Status) error {
	out := ui.Detect(a.Out, getenv)
	rows := make([][]string, len(s.Clusters))
	for i, c := range s.Clusters {
		istio := c.Istio
		if c.Primary != "" {
			istio = "of " + c.Primary
		}
		rows[i] = []string{c.Name, c.State, c.Kubernetes, istio, c.Network, c.EastWest, ingress(c)}
	}
	if err := ui.Table(out, []string{"CLUSTER", "STATE", "KUBERNETES", "ISTIO", "NETWORK", "EAST-WEST", "INGRESS"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.Out)
	rows = rows[:0]
	for _, c := range s.Clusters {
		for _, k := range c.Credentials {
			rows = append(rows, []string{c.Name, k.Kind, k.Peer, expires(k), k.Note})
		}
	}
	if err := ui.Table(out, []string{"HELD BY", "CREDENTIAL", "FOR", "EXPIRES", ""}, rows); err != nil {
		return err
	}
	for _, c := range s.Clusters {
		for _, fault := range c.Faults {
			fmt.Fprintf(a.Out, "\n%s: fault: %s\n", c.Name, fault)
		}
		for _, note := range c.Notes {
			fmt.Fprintf(a.Out, "\n%s: %s\n", c.Name, note)
		}
	}
	for _, sub := range s.Substitutions {
		fmt.Fprintln(a.Out, "\nsubstitution:", sub)
	}
	if last := lastVerify(m); last.StartedAt.IsZero() {
		fmt.Fprintln(a.Out, "\nnever verified:", a.command("verify"))
	} else {
		fmt.Fprintf(a.Out, "\nlast verified %s: %d passed, %d failed, %d inconclusive\n",
			last.StartedAt.Local().Format(time.DateTime), last.Summary.Pass, last.Summary.Fail, last.Summary.Inconclusive)
	}
	return nil
}

// ingress is what leads to a cluster's ingress gateway: URLs that were tried, or the address
// that waits for a Gateway.
func ingress(c plan.ClusterStatus) string {
	if len(c.URLs) == 0 && len(c.Published) > 0 {
		return c.Published[0] + " (no Gateway listens yet)"
	}
	return strings.Join(c.URLs, " ")
}

// facts are the lines that people look for after `up`; what can not be read is left out,
// because `up` itself has succeeded.
func (a *app) facts(ctx context.Context, m *plan.Mesh) [][2]string {
	s, err := m.Status(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		return [][2]string{{"status", err.Error()}}
	}
	var facts [][2]string
	var soonest plan.Credential
	holder := ""
	for _, c := range s.Clusters {
		if where := ingress(c); where != "" {
			facts = append(facts, [2]string{"ingress " + c.Name, where})
		}
		for _, k := range c.Credentials {
			if !k.Expires.IsZero() && (holder == "" || k.Expires.Before(soonest.Expires)) {
				soonest, holder = k, c.Name
			}
		}
	}
	if holder != "" {
		facts = append(facts, [2]string{"soonest expiry", fmt.Sprintf("%s of %s in %s: %s (%s)", soonest.Kind, soonest.Peer, holder,
			soonest.Expires.UTC().Format(time.DateOnly), soonest.Renewal)})
	}
	return facts
}
