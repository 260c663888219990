// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshfed/meshfed/topology"
)

// ChangesKind of a comparison's JSON object.
const ChangesKind = "VerifyChanges"

// Regression says from when on a measured value is worse than it was.
type Regression struct {
	// Factor of the earlier value that a later one may reach, at least 1.
	Factor float64
}

const (
	// regressionFactor is the default: on a busy machine the same mesh takes one and a half
	// times as long as a minute before, and what takes twice as long is worth a look.
	regressionFactor = 2
	// noiseSeconds is a difference that counts for nothing, whatever the factor: outlier
	// detection looks twice a second, steady means a whole second without another answer, and
	// both begin anywhere. For requests that were lost it is what is sent meanwhile.
	noiseSeconds = 2.0
	// largestFactor keeps a mistyped factor from switching the comparison off.
	largestFactor = 1000
)

// DefaultRegression is what holds where nothing is said.
func DefaultRegression() Regression { return Regression{Factor: regressionFactor} }

// ParseRegression reads "2", "2x" (twice as much is allowed) or "50%" (half as much again is).
func ParseRegression(text string) (Regression, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !percent {
		number = strings.TrimSuffix(number, "x")
	}
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f = 1 + f/100
	}
	// Written so that NaN is refused, too.
	if err != nil || !(f >= 1 && f <= largestFactor) {
		return Regression{}, fmt.Errorf("%q is no factor from 1 to %d and no percentage: write 2x or 100%% for twice as much", text, largestFactor)
	}
	return Regression{Factor: f}, nil
}

// ChangeKind says what became of a check, a measured value or a fact.
type ChangeKind string

// The kinds. Failed, Slower and MoreLost are regressions.
const (
	Failed    ChangeKind = "failed"    // it fails, and did not
	Mended    ChangeKind = "mended"    // it failed, and does not
	Otherwise ChangeKind = "otherwise" // it failed for another cause
	Unsure    ChangeKind = "unsure"    // it can not be told any more
	Warned    ChangeKind = "warned"    // it warns, and did not
	Clear     ChangeKind = "clear"     // it passes: it warned, or could not be told
	Skipped   ChangeKind = "skipped"   // it does not apply any more
	Appeared  ChangeKind = "appeared"  // it was not in the earlier report, and does not fail
	Vanished  ChangeKind = "vanished"  // it is not in the later one
	Slower    ChangeKind = "slower"    // it takes longer than allowed
	Faster    ChangeKind = "faster"    // it takes less time by as much
	MoreLost  ChangeKind = "more-lost"
	FewerLost ChangeKind = "fewer-lost"
	Replaced  ChangeKind = "replaced" // a root, an intermediate, a version is another one
)

// Change is one difference between two reports.
type Change struct {
	Kind ChangeKind `json:"change"`
	// Regression says whether it is for the worse beyond what is allowed.
	Regression bool `json:"regression"`
	// The check that it is about, as in Result; a replaced fact has To, the cluster, alone.
	ID      string `json:"id,omitempty"`
	Suite   string `json:"suite,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Variant string `json:"variant,omitempty"`
	Code    string `json:"code,omitempty"`
	// Before and After are statuses, measured values or facts.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Message is one sentence.
	Message string `json:"message"`
}

// Changes are what Compare found.
type Changes struct {
	APIVersion    string   `json:"apiVersion"`
	Kind          string   `json:"kind"`
	Tool          string   `json:"tool"`
	Topology      string   `json:"topology"`
	Substitutions []string `json:"substitutions"`
	// Baseline is when the earlier report was begun and by what, StartedAt when the later was.
	Baseline  BaselineFact `json:"baseline"`
	StartedAt time.Time    `json:"startedAt"`
	// Summary counts the later report's checks by status.
	Summary map[Status]int `json:"summary"`
	// Factor that a measured value may grow by, see Regression.
	Factor float64 `json:"regressionFactor"`
	// Regressions among Changes.
	Regressions int `json:"regressions"`
	// StillFailing are checks that fail in both reports: no change, and no pass either.
	StillFailing int      `json:"stillFailing"`
	Changes      []Change `json:"changes"`

	exit int
}

// BaselineFact names an earlier report.
type BaselineFact struct {
	StartedAt time.Time `json:"startedAt"`
	Tool      string    `json:"tool,omitempty"`
}

// ExitCode is 3 when something is worse than it was, else that of the later report: what fails in
// both fails.
func (c *Changes) ExitCode() int {
	if c.Regressions > 0 {
		return ExitFail
	}
	return c.exit
}

// Compare says what differs in a later report from an earlier one; it is pure. Suites and clusters
// that only one of them has are told once, not check by check. Reports of two topologies, or
// without a cluster in common, are an error.
func Compare(before, after *Report, limit Regression) (*Changes, error) {
	if before.Topology != after.Topology {
		return nil, fmt.Errorf("the earlier report is of the topology %s, not %s", before.Topology, after.Topology)
	}
	c := comparison{before: before, after: after, limit: limit}
	c.clusters = both(before.Clusters, after.Clusters)
	if len(c.clusters) == 0 {
		return nil, fmt.Errorf("the earlier report has no cluster in common: it has %s, and this one %s",
			or(strings.Join(before.Clusters, ", "), "none"), or(strings.Join(after.Clusters, ", "), "none"))
	}
	c.scope("suite", before.Suites, after.Suites)
	c.scope("cluster", before.Clusters, after.Clusters)
	for _, suite := range both(after.Suites, before.Suites) {
		c.suite(suite)
	}
	c.facts()
	out := &Changes{
		APIVersion: topology.APIVersion, Kind: ChangesKind, Tool: after.Tool, Topology: after.Topology, Substitutions: append([]string{}, after.Substitutions...),
		Baseline: BaselineFact{before.StartedAt, before.Tool}, StartedAt: after.StartedAt, Summary: after.Summary,
		Factor: limit.Factor, StillFailing: c.still, Changes: append([]Change{}, c.changes...), exit: after.ExitCode(),
	}
	for _, one := range c.changes {
		if one.Regression {
			out.Regressions++
		}
	}
	return out, nil
}

// both are the words of a that b has, too.
func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// comparison is one call of Compare under way.
type comparison struct {
	before, after *Report
	limit         Regression
	clusters      []string
	changes       []Change
	still         int
}

// scope tells what only one of the reports was asked for.
func (c *comparison) scope(what string, before, after []string) {
	for _, name := range after {
		if !slices.Contains(before, name) {
			c.changes = append(c.changes, Change{Kind: Appeared, Message: fmt.Sprintf("the %s %s was not in the earlier report", what, name)})
		}
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			c.changes = append(c.changes, Change{Kind: Vanished, Message: fmt.Sprintf("the %s %s is not in this report", what, name)})
		}
	}
}

// suite compares row by row, under names that stay the same from run to run.
func (c *comparison) suite(suite string) {
	old, now := c.named(c.before, suite), c.named(c.after, suite)
	for _, name := range now.order {
		if b, ok := old.rows[name]; ok {
			c.row(b, now.rows[name])
		} else {
			c.appeared(now.rows[name])
		}
	}
	for _, name := range old.order {
		if _, ok := now.rows[name]; !ok {
			r := old.rows[name]
			ch := about(Vanished, r)
			ch.Before, ch.After = string(r.Status), ""
			ch.Message = "it is not in this report any more"
			c.changes = append(c.changes, ch)
		}
	}
}

// rowSet holds the rows of one suite that concern the clusters in common.
type rowSet struct {
	order []string
	rows  map[string]Result
}

func (c *comparison) named(r *Report, suite string) rowSet {
	n := rowSet{rows: map[string]Result{}}
	for _, row := range r.rows(suite) {
		if !c.common(row.From) || !c.common(row.To) {
			continue
		}
		if _, twice := n.rows[row.name]; !twice {
			n.order = append(n.order, row.name)
			n.rows[row.name] = row.Result
		}
	}
	return n
}

// common says whether a cluster is in both reports; one that is in neither, an external control
// plane, is.
func (c *comparison) common(cluster string) bool {
	return cluster == "" || slices.Contains(c.clusters, cluster) ||
		!slices.Contains(c.before.Clusters, cluster) && !slices.Contains(c.after.Clusters, cluster)
}

// about is a change of one check.
func about(kind ChangeKind, r Result) Change {
	return Change{Kind: kind, ID: r.ID, Suite: r.Suite, From: r.From, To: r.To, Variant: r.Variant, Code: r.Code, After: string(r.Status), Message: r.Message}
}

func (c *comparison) appeared(r Result) {
	ch := about(Appeared, r)
	if r.Status == Fail {
		ch.Kind, ch.Regression = Failed, true
	}
	c.changes = append(c.changes, ch)
}

// row compares one check.
func (c *comparison) row(before, after Result) {
	ch := about("", after)
	ch.Before = string(before.Status)
	switch {
	case before.Status == after.Status && before.Status == Fail:
		c.still++
		if before.Code == after.Code {
			break
		}
		ch.Kind, ch.Before, ch.After = Otherwise, before.Code, after.Code
	case before.Status == after.Status:
	case after.Status == Fail:
		ch.Kind, ch.Regression = Failed, true
	case after.Status == Inconclusive:
		ch.Kind = Unsure
	case after.Status == Skip:
		ch.Kind = Skipped
	case before.Status == Fail:
		ch.Kind = Mended
	case after.Status == Warn:
		ch.Kind = Warned
	case before.Status == Skip:
		ch.Kind = Appeared
	default:
		ch.Kind = Clear
	}
	if ch.Kind != "" {
		c.changes = append(c.changes, ch)
	}
	for _, m := range measures() {
		if m.check == after.ID {
			c.measured(m, before, after)
		}
	}
}

// facts compares what is right or wrong only beside an earlier report.
func (c *comparison) facts() {
	for _, now := range c.after.Facts {
		i := slices.IndexFunc(c.before.Facts, func(f ClusterFacts) bool { return f.Cluster == now.Cluster })
		if i < 0 {
			continue
		}
		old := c.before.Facts[i]
		c.replaced(now.Cluster, "the root of", old.Root.print(), now.Root.print())
		c.replaced(now.Cluster, "the intermediate of", old.Intermediate.print(), now.Intermediate.print())
		c.replaced(now.Cluster, "istiod of", strings.Join(old.Istiod, ", "), strings.Join(now.Istiod, ", "))
	}
	if c.before.Tool != "" && c.after.Tool != "" && c.before.Tool != c.after.Tool {
		c.changes = append(c.changes, Change{Kind: Replaced, Before: c.before.Tool, After: c.after.Tool,
			Message: fmt.Sprintf("the program is %s, was %s", c.after.Tool, c.before.Tool)})
	}
}

// print is the fingerprint; "" for nil.
func (f *CertificateFact) print() string {
	if f == nil {
		return ""
	}
	return f.Fingerprint
}

// replaced notes a fact that is another one; what one of the reports lacks is not compared.
func (c *comparison) replaced(cluster, what, before, after string) {
	if before == "" || after == "" || before == after {
		return
	}
	c.changes = append(c.changes, Change{Kind: Replaced, To: cluster, Before: before, After: after,
		Message: fmt.Sprintf("%s %s is %s, was %s", what, cluster, short(after), short(before))})
}

// Standing are the results that are not as they should be, as changes from a mesh in which all is
// well: what a watch tells of its first round.
func Standing(r *Report) []Change {
	var all []Change
	for _, c := range r.Checks {
		kind, is := map[Status]ChangeKind{Fail: Failed, Inconclusive: Unsure, Warn: Warned}[c.Status]
		if !is {
			continue
		}
		ch := about(kind, c)
		ch.Regression = kind == Failed
		all = append(all, ch)
	}
	return all
}
