// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "github.com/meshfed/meshfed/topology"

// Tally counts the results that concern requests from one cluster to another, by suite and
// status: the matrix of every report. Pairs are ordered and of different clusters.
type Tally map[topology.Pair]map[string]map[Status]int

// Tally looks once at each result, for a mesh may have many of both. A result of one cluster
// counts for all its pairs, one of none for all.
func (r *Report) Tally() Tally {
	t := Tally{}
	for _, p := range pairs(r.Clusters) {
		t[p] = map[string]map[Status]int{}
		for _, suite := range r.Suites {
			t[p][suite] = map[Status]int{}
		}
	}
	for _, c := range r.Checks {
		froms, tos := []string{c.From}, []string{c.To}
		if c.From == "" {
			froms = r.Clusters
		}
		if c.To == "" {
			tos = r.Clusters
		}
		for _, from := range froms {
			for _, to := range tos {
				if cell, ok := t[topology.Pair{From: from, To: to}][c.Suite]; ok {
					cell[c.Status]++
				}
			}
		}
	}
	return t
}

// Cell is the worst status of a suite's results that concern a pair, and how many there are
// of each; Skip when there are none.
func (t Tally) Cell(suite, from, to string) (Status, map[Status]int) {
	counts := t[topology.Pair{From: from, To: to}][suite]
	for _, s := range worst() {
		if counts[s] > 0 {
			return s, counts
		}
	}
	return Skip, counts
}

// Pair is the worst status of a pair over some suites, which of them have it, and how many
// checks passed in all.
func (t Tally) Pair(suites []string, from, to string) (status Status, have []string, passed int) {
	by := map[Status][]string{}
	for _, suite := range suites {
		s, counts := t.Cell(suite, from, to)
		passed += counts[Pass]
		by[s] = append(by[s], suite)
	}
	for _, s := range worst() {
		if len(by[s]) > 0 {
			return s, by[s], passed
		}
	}
	return Skip, nil, passed
}
