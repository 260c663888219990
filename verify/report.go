// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/topology"
)

// Kind of the report's JSON object.
const Kind = "VerifyReport"

// Exit codes of a verification, a contract with scripts.
const (
	ExitPass         = 0
	ExitFail         = 3
	ExitInconclusive = 4
)

// Report is what a run saw and judged.
type Report struct {
	// APIVersion of all JSON objects of meshfed.
	APIVersion string `json:"apiVersion"`
	// Kind tells a report from other JSON objects of meshfed.
	Kind string `json:"kind"`
	// Tool is the version that ran.
	Tool string `json:"tool"`
	// Topology is the topology's name.
	Topology string `json:"topology"`
	// Substitutions say what stands in for a published component.
	Substitutions []string `json:"substitutions"`
	// StartedAt is in UTC.
	StartedAt time.Time `json:"startedAt"`
	// DurationSeconds until everything was judged.
	DurationSeconds float64 `json:"durationSeconds"`
	// RemovalSeconds from then on until nothing of the probes was left.
	RemovalSeconds float64 `json:"removalSeconds"`
	// Restored says which disruptive faults of an earlier run that was killed this one has undone.
	Restored []string `json:"restored,omitempty"`
	// Requests that the run cost, those of the removal included; absent when it did not come
	// about.
	Requests *Requests `json:"requests,omitempty"`
	// Summary counts the checks by status; every status is present.
	Summary map[Status]int `json:"summary"`
	// Clusters that were asked for, in the order in which they are shown.
	Clusters []string `json:"clusters"`
	// Suites that were asked for, in the order in which they are shown.
	Suites []string `json:"suites"`
	// Members are the clusters as the file places them. Reports of older versions have none.
	Members []Member `json:"members,omitempty"`
	// Steps are those of the up that the report comes from, in the order of the plan.
	Steps []StepTime `json:"steps,omitempty"`
	// Facts of each cluster: what only a comparison can judge, see Compare.
	Facts []ClusterFacts `json:"clusterFacts,omitempty"`
	// Checks in registry order, then by clusters in file order, then by variant.
	Checks []Result `json:"checks"`
}

// Requests counts what a run has sent.
type Requests struct {
	// API counts HTTP requests to API servers, by cluster; an open port-forward is one.
	API map[string]int64 `json:"api"`
	// Probes counts the requests that probes and outside clients sent into the mesh.
	Probes int64 `json:"probes"`
}

// api is the sum over the clusters.
func (r *Requests) api() int64 {
	var n int64
	for _, count := range r.API {
		n += count
	}
	return n
}

// newReport sorts results, adds what coverage demands and counts.
func newReport(t *topology.Topology, clusters, suites []string, results []Result) *Report {
	r := &Report{
		APIVersion: topology.APIVersion, Kind: Kind, Topology: t.Metadata.Name,
		Substitutions: []string{}, Clusters: clusters, Suites: suites, Members: placed(t, clusters),
	}
	r.Checks = append(slices.Clone(results), r.uncovered(t, results)...)
	order := map[string]int{CoverageCheck: len(Checks())}
	for i, c := range Checks() {
		order[c.ID] = i
	}
	slices.SortStableFunc(r.Checks, func(a, b Result) int {
		for _, d := range []int{
			order[a.ID] - order[b.ID],
			slices.Index(clusters, a.From) - slices.Index(clusters, b.From),
			slices.Index(clusters, a.To) - slices.Index(clusters, b.To),
		} {
			if d != 0 {
				return d
			}
		}
		return slices.Compare([]string{a.Variant}, []string{b.Variant})
	})
	r.Summary = map[Status]int{}
	for _, s := range worst() {
		r.Summary[s] = 0
	}
	for _, c := range r.Checks {
		r.Summary[c.Status]++
	}
	return r
}

// uncovered gives an inconclusive result for each requested suite and ordered pair of which
// no check passed and none failed either: skips and warnings must not hide a pair. Where the
// first shall not know the second there is nothing to cover, nor where the suite's question
// does not arise: both are skipped with the reason.
func (r *Report) uncovered(t *topology.Topology, results []Result) []Result {
	var missing []Result
	told := map[[3]string]bool{}
	reasons := map[string][]Result{}
	for _, c := range results {
		if c.NotApplicable {
			reasons[c.Suite] = append(reasons[c.Suite], c)
		}
		if c.Status == Pass || c.Status == Fail {
			told[[3]string{c.Suite, c.From, c.To}] = true
		}
	}
	for _, suite := range r.Suites {
		for _, p := range pairs(r.Clusters) {
			if told[[3]string{suite, p.From, p.To}] {
				continue
			}
			m := unsure("no check of the suite %s passed from %s to %s", suite, p.From, p.To)
			i := slices.IndexFunc(reasons[suite], func(c Result) bool { return c.concerns(p.From, p.To) })
			switch {
			case !t.Knows(p.From, p.To):
				m = skip("%s does not know %s: spec.discovery leaves it out", p.From, p.To)
			case i >= 0:
				m = moot("the suite %s does not apply from %s to %s: %s", suite, p.From, p.To, reasons[suite][i].Message)
			}
			m = m.between(p.From, p.To, suite)
			m.ID, m.Suite = CoverageCheck, suite
			missing = append(missing, m)
		}
	}
	return missing
}

// NotApplicable says in one line for each suite that does not apply to some pairs, to how many
// and why: a skip must be seen where only the verdict is read.
func (r *Report) NotApplicable() []string {
	var lines []string
	for _, suite := range r.Suites {
		n, why := 0, ""
		for _, c := range r.Checks {
			if c.ID == CoverageCheck && c.Suite == suite && c.NotApplicable {
				n++
				_, reason, _ := strings.Cut(c.Message, ": ")
				why = or(why, reason)
			}
		}
		if n > 0 {
			lines = append(lines, fmt.Sprintf("%s does not apply to %d of %d pairs: %s", suite, n, len(pairs(r.Clusters)), why))
		}
	}
	return lines
}

// ExitCode is 3 when a check failed, else 4 when one is inconclusive or none passed, else 0.
func (r *Report) ExitCode() int {
	switch {
	case r.Summary[Fail] > 0:
		return ExitFail
	case r.Summary[Inconclusive] > 0 || r.Summary[Pass] == 0:
		return ExitInconclusive
	}
	return ExitPass
}

// JSON is the report indented, with a newline at the end.
func (r *Report) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the report: %w", err)
	}
	return append(data, '\n'), nil
}

// known are the ordered pairs of which the first shall know the second.
func known(t *topology.Topology, clusters []string) []topology.Pair {
	return slices.DeleteFunc(pairs(clusters), func(p topology.Pair) bool { return !t.Knows(p.From, p.To) })
}

// pairs are the ordered pairs of different clusters.
func pairs(clusters []string) []topology.Pair {
	var all []topology.Pair
	for _, from := range clusters {
		for _, to := range clusters {
			if from != to {
				all = append(all, topology.Pair{From: from, To: to})
			}
		}
	}
	return all
}
