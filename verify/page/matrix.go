// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

const (
	// listedClusters are as many as a cell has room to list every suite for.
	listedClusters = 4
	// wordedClusters are as many as a cell has room for words beside its mark for.
	wordedClusters = 8
)

// matrix is the table of from and to.
type matrix struct {
	// Form is "listed" (every suite in each cell), "worded" or "marked".
	Form string
	Rows []row
	// Passed of All ordered pairs.
	Passed, All int
}

type row struct {
	From  string
	Cells []cell
}

// cell is one ordered pair; From is empty on the diagonal.
type cell struct {
	From, To string
	Status   status
	// Text says what the mark is about, Codes has a letter for the status of each suite, in the
	// report's order: the script shows one suite by it.
	Text, Codes string
	Suites      []suiteCell
}

// suiteCell is one suite of a pair.
type suiteCell struct {
	Name       string
	Status     status
	Passed, Of int
}

func matrixOf(r *verify.Report) matrix {
	m := matrix{Form: "listed"}
	switch n := len(r.Clusters); {
	case n > wordedClusters:
		m.Form = "marked"
	case n > listedClusters:
		m.Form = "worded"
	}
	tally := r.Tally()
	for _, from := range r.Clusters {
		line := row{From: from}
		for _, to := range r.Clusters {
			if from == to {
				line.Cells = append(line.Cells, cell{})
				continue
			}
			c := cellOf(r.Suites, tally, topology.Pair{From: from, To: to})
			m.All++
			if c.Status.Name == string(verify.Pass) {
				m.Passed++
			}
			line.Cells = append(line.Cells, c)
		}
		m.Rows = append(m.Rows, line)
	}
	return m
}

func cellOf(suites []string, tally verify.Tally, p topology.Pair) cell {
	worst, have, passed := tally.Pair(suites, p.From, p.To)
	c := cell{From: p.From, To: p.To, Status: of(worst), Text: strings.Join(have, ", ")}
	if worst == verify.Pass {
		c.Text = fmt.Sprintf("%d", passed)
	}
	for _, suite := range suites {
		s, counts := tally.Cell(suite, p.From, p.To)
		one := suiteCell{Name: suite, Status: of(s), Passed: counts[verify.Pass]}
		for status, n := range counts {
			if status != verify.Skip {
				one.Of += n
			}
		}
		c.Suites = append(c.Suites, one)
		c.Codes += string(s[:min(1, len(s))])
	}
	return c
}
