// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"slices"
	"time"

	"github.com/meshfed/meshfed/topology"
)

// NotRun is the report of a verification that did not come about: every result that a run with
// these options would give, inconclusive for the given reason, but for those that do not apply. A
// CI dashboard so keeps its rows when set-up fails. Suites and clusters that do not exist are left
// out. Tool and Substitutions are the caller's to fill in.
func NotRun(t *topology.Topology, o Options, reason error) *Report {
	if reason == nil {
		reason = errors.New("verify was not run")
	}
	o.Suites = slices.DeleteFunc(slices.Clone(o.Suites), func(s string) bool { return !slices.Contains(Suites(), s) })
	some, err := chosen(t, o)
	if err != nil { // the file names what does not exist
		some = slices.DeleteFunc(Suites(), func(s string) bool { return s == SuiteFailover })
	}
	all := members(t, o.Clusters)
	why := sentence(reason)
	w := blind(t, all, why)
	w.Access, w.Disruptive = o.Access, o.Disruptive
	var results []Result
	for _, c := range selected(some, o.Access) {
		for _, r := range c.run(w) {
			if r.Status != Skip {
				r.Status, r.Code, r.Message, r.Evidence = Inconclusive, "", why, nil
			}
			results = append(results, r)
		}
	}
	report := newReport(t, all, some, results)
	for i := range report.Checks {
		if report.Checks[i].ID == CoverageCheck && report.Checks[i].Status != Skip {
			report.Checks[i].Message = why
		}
	}
	report.StartedAt = time.Now().UTC().Truncate(time.Millisecond)
	return report
}

// blind is a world in which nothing could be looked at.
func blind(t *topology.Topology, clusters []string, why string) *World {
	w := &World{
		Topology: t, Clusters: clusters, Namespace: t.Spec.Verify.Probe.Namespace, TrustDomain: t.Spec.Mesh.TrustDomain, Now: time.Now(),
		Signers: map[string]Signer{}, Roots: map[string]Roots{}, Controls: map[string]Control{}, Nodes: map[string]Nodes{},
		Gateways: map[string]Gateway{}, Probes: map[string]Probes{}, Views: map[string]Views{},
		OutsideClients: []string{OutsideHost, OutsideContainer},
	}
	for _, c := range clusters {
		w.Signers[c], w.Roots[c], w.Controls[c] = Signer{Problem: why}, Roots{Problem: why}, Control{Problem: why}
		w.Nodes[c], w.Gateways[c] = Nodes{Problem: why}, Gateway{Problem: why}
		w.Probes[c], w.Views[c] = Probes{Problem: why}, Views{Problem: why}
	}
	return w
}
