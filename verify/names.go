// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// byReplica are the checks whose variants are names of pods, which differ from run to run.
func byReplica() []string { return []string{"discovery-synced", "discovery-sni"} }

// row is a result under a name that stays the same from run to run, as dashboards need it.
type row struct {
	Result
	name string
}

// rows are the results of one suite: first, for each ordered pair, whether it is covered, in a
// report a result only when it is not; then the others. Replicas are numbered, and the first
// has no number: it stands for the check where no replica could be asked.
func (r *Report) rows(suite string) []row {
	var all []row
	uncovered := map[topology.Pair]Result{}
	for _, c := range r.Checks {
		if c.ID == CoverageCheck && c.Suite == suite {
			uncovered[topology.Pair{From: c.From, To: c.To}] = c
		}
	}
	for _, p := range pairs(r.Clusters) {
		c, is := uncovered[p]
		if !is {
			c = pass("a check of the suite %s passed or failed from %s to %s", suite, p.From, p.To).between(p.From, p.To, suite)
			c.ID, c.Suite = CoverageCheck, suite
		}
		all = append(all, row{c, rowName(c, suite)})
	}
	replicas := map[[4]string]int{}
	for _, c := range r.Checks {
		if c.Suite != suite || c.ID == CoverageCheck {
			continue
		}
		variant := c.Variant
		if variant != "" && slices.Contains(byReplica(), c.ID) {
			key := [4]string{c.ID, c.From, c.To}
			replicas[key]++
			if variant = ""; replicas[key] > 1 {
				variant = fmt.Sprintf("replica %d", replicas[key])
			}
		}
		all = append(all, row{c, rowName(c, variant)})
	}
	return all
}

// rowName is "<id> <from>-><to> [variant]".
func rowName(c Result, variant string) string {
	parts := []string{c.ID}
	if c.From+c.To != "" {
		parts = append(parts, c.From+"->"+c.To)
	}
	if variant != "" {
		parts = append(parts, "["+variant+"]")
	}
	return strings.Join(parts, " ")
}
