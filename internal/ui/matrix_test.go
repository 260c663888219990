// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

var suites = []string{"trust", "discovery", "weights", "locality", "failover", "authorization"}

// proven is a matrix in which everything passed.
func proven(clusters ...string) Matrix {
	passed := map[string]int{"trust": 9, "discovery": 8, "weights": 6, "locality": 3, "failover": 12, "authorization": 4}
	return Matrix{Clusters: clusters, Suites: suites, Cell: func(_, _, suite string) Cell {
		return Cell{Pass, passed[suite], passed[suite]}
	}}
}

// flawed is a matrix in which every mark occurs.
func flawed(clusters ...string) Matrix {
	m := proven(clusters...)
	pass := m.Cell
	m.Cell = func(from, to, suite string) Cell {
		c := pass(from, to, suite)
		switch {
		case suite == "failover" && from == clusters[0]:
			return Cell{Mark: Skip}
		case suite == "discovery" && to == clusters[1]:
			return Cell{Fail, c.Of - 5, c.Of}
		case suite == "weights" && from == clusters[1]:
			return Cell{Inconclusive, 0, c.Of}
		case suite == "authorization" && from == clusters[0]:
			return Cell{Warn, c.Of - 1, c.Of}
		}
		return c
	}
	return m
}

// fuller is a flawed matrix with more suites than fit beside each other.
func fuller(clusters ...string) Matrix {
	m := flawed(clusters...)
	m.Suites = append(slices.Clone(m.Suites), "gateway", "dns", "services")
	return m
}

func meshes() map[string]Matrix {
	return map[string]Matrix{
		"two":    proven("west", "east"),
		"three":  flawed("us-west", "us-east", "eu-central"),
		"four":   flawed("west", "east", "north", "south"),
		"six":    flawed("us-west", "us-east", "eu-west", "eu-central", "ap-south", "sa-east"),
		"suites": fuller("west", "east"),
		"long":   flawed("europe-west-frankfurt-production", "united-states-east-staging-2"),
		"twelve": proven("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "a-cluster-with-a-long-name"),
	}
}

// written is the matrix alone.
func written(out *Output, matrix Matrix) string {
	var b strings.Builder
	out.matrix(&b, matrix)
	return b.String()
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	for name, matrix := range meshes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenLooks(t, "matrix-"+name, func(out *Output) error {
				_, err := io.WriteString(out, written(out, matrix))
				return err
			})
		})
	}
}

func TestMatrixFitsEveryWidth(t *testing.T) {
	t.Parallel()
	for name, matrix := range meshes() {
		for _, width := range []int{40, 60, 80, 100, 140, 200} {
			for _, ascii := range []bool{false, true} {
				out := &Output{Terminal: true, ASCII: ascii, Size: func() (int, int) { return width, 24 }}
				for line := range strings.Lines(written(out, matrix)) {
					if line = strings.TrimSuffix(line, "\n"); cells(line) > width {
						t.Errorf("%s in %d columns: %d wide: %q", name, width, cells(line), line)
					}
				}
			}
		}
	}
}

// TestMatrixShowsEveryPair counts the cells: none may be lost between two bands or forms.
func TestMatrixShowsEveryPair(t *testing.T) {
	t.Parallel()
	for clusters := 2; clusters <= 14; clusters++ {
		var names []string
		for i := range clusters {
			names = append(names, fmt.Sprintf("c%d", i))
		}
		for _, width := range []int{40, 80, 160} {
			asked := map[string]bool{}
			matrix := proven(names...)
			pass := matrix.Cell
			matrix.Cell = func(from, to, suite string) Cell {
				if from == to {
					t.Errorf("asked for %s to itself", from)
				}
				asked[from+to+suite] = true
				return pass(from, to, suite)
			}
			text := written(&Output{Terminal: true, Size: func() (int, int) { return width, 24 }}, matrix)
			pairs := clusters * (clusters - 1)
			body, _, _ := strings.Cut(text, "each cell")
			want := pairs * len(suites)
			if !strings.Contains(text, "each cell") && clusters > 2 {
				want += len(suites) // the line of sums
			}
			if n := strings.Count(body, "✔"); n != want {
				t.Errorf("%d clusters in %d columns: %d marks, want %d\n%s", clusters, width, n, want, text)
			}
			if len(asked) != pairs*len(suites) {
				t.Errorf("asked for %d cells of %d", len(asked), pairs*len(suites))
			}
		}
	}
}

func TestWriteBlock(t *testing.T) {
	t.Parallel()
	blocks := map[string]Block{
		"up": {
			Mark: Pass, Title: "usmesh is up (50.8s) and proven (31.7s): 94 checks passed",
			Notes:  []string{"upstream Envoy 1.40.0 in place of Istio's proxy", "bridge CNI in place of kindnetd"},
			Matrix: new(proven("west", "east")),
			Facts: [][2]string{
				{"ingress west", "http://127.0.0.1:30000"}, {"ingress east", "http://127.0.0.1:30001"},
				{"soonest expiry", "remote secret of east in west: 2027-03-01 (`meshfed up -f topology.yaml` renews it from 2027-01-01 on)"},
			},
			Next: [][2]string{
				{"meshfed status -f topology.yaml", "what is running, and until when"},
				{"meshfed verify -f topology.yaml", "prove it again"},
				{"meshfed down -f topology.yaml", "remove all of it"},
				{"meshfed version", "one too many"},
			},
		},
		"failed": {
			Mark: Fail, Title: "usmesh is up (50.8s) but not proven: 12 of 94 checks failed", Matrix: new(flawed("west", "east")),
			Problems: []Problem{
				{Fail, "discovery.endpoints west -> east: the proxy of sleep-west has 1 endpoint of echo, 2 are expected [ENDPOINT_MISSING]"},
				{Inconclusive, "weights.share east -> west: 40 answers, 200 are needed"},
			},
			Next: [][2]string{
				{"/a/rather/long/folder/of/a/person/bin/meshfed verify -f examples/two-clusters/topology.yaml", "the proof again"},
				{"/a/rather/long/folder/of/a/person/bin/meshfed status -f examples/two-clusters/topology.yaml", ""},
			},
		},
	}
	for name, block := range blocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goldenLooks(t, "block-"+name, func(out *Output) error { return WriteBlock(out, block) })
		})
	}
}
