// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshfed/meshfed/internal/graph"
)

// actions lists the actions in the order of the summary, each with its sign and colour.
var actions = []struct {
	action graph.Action
	sign   string
	style  style
}{
	{graph.Create, "+", green},
	{graph.Update, "~", cyan},
	{graph.Replace, "!", red},
	{graph.Delete, "-", red},
	{graph.Unknown, "?", bold},
}

const (
	// fieldsShown bounds how many fields of one step are listed; the rest is counted.
	fieldsShown = 10
	// foldAbove is how many steps are listed one by one. In larger plans what is simply to be
	// created is one row for each cluster.
	foldAbove = 100
)

// planRow is one row of a plan and the fields below it.
type planRow struct {
	cells  []string
	style  style
	fields []graph.FieldChange
}

// RenderPlan writes what would be done: one row for each step that would change
// something, the fields that differ below it, and a summary. Steps with nothing to do are
// counted and not listed, and in a plan of very many steps those of a cluster that only create
// are one row.
func RenderPlan(w io.Writer, planned []graph.Planned) error {
	out := outputOf(w)
	count := map[graph.Action]int{}
	for i := range planned {
		if action := planned[i].Change.Action; planned[i].Change.Needed() {
			count[action]++
		} else {
			count[graph.None]++
		}
	}
	rows := planRows(planned, len(planned)-count[graph.None] > foldAbove)
	var b strings.Builder
	if len(rows) > 0 {
		writePlanRows(&b, out, rows)
		b.WriteString("\n")
	}
	b.WriteString(out.paint(bold, planSummary(count)) + "\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing plan: %w", err)
	}
	return nil
}

// planRows are the rows of what would change; with fold set, those of steps that only create are
// counted for each cluster, where the first of them would stand.
func planRows(planned []graph.Planned, fold bool) []planRow {
	var rows []planRow
	folded := map[string]*foldedSteps{}
	for i := range planned {
		p := &planned[i]
		switch {
		case !p.Change.Needed():
		case fold && p.Step.Cluster != "" && p.Change.Action == graph.Create && len(p.Change.Fields) == 0:
			f := folded[p.Step.Cluster]
			if f == nil {
				f = &foldedSteps{at: len(rows)}
				folded[p.Step.Cluster] = f
				rows = append(rows, planRow{style: styleOf(graph.Create)})
			}
			f.add(p.Step)
		default:
			rows = append(rows, planRow{[]string{p.Step.ID, signed(p.Change.Action), what(*p)}, styleOf(p.Change.Action), p.Change.Fields})
		}
	}
	for cluster, f := range folded {
		rows[f.at].cells = []string{"...@" + cluster, signed(graph.Create), f.String()}
	}
	return rows
}

// foldedSteps counts the steps of a cluster that stand in one row.
type foldedSteps struct {
	at, own, pairs int
	first          string
}

func (f *foldedSteps) add(s graph.Step) {
	switch {
	case ofPair(s):
		f.pairs++
	case f.own == 0:
		f.first, f.own = s.Title, 1
	default:
		f.own++
	}
}

// String tells what the row is of: "kind cluster and 11 more steps, 398 with other clusters".
func (f *foldedSteps) String() string {
	text := f.first
	if f.own > 1 {
		text += fmt.Sprintf(" and %d more steps", f.own-1)
	}
	if f.pairs > 0 && text != "" {
		text += ", "
	}
	if f.pairs > 0 {
		text += fmt.Sprintf("%d steps with other clusters", f.pairs)
	}
	return text
}

func writePlanRows(b *strings.Builder, out *Output, rows []planRow) {
	header := []string{"STEP", "ACTION", "WHAT"}
	all := make([][]string, len(rows))
	for i := range rows {
		all[i] = rows[i].cells
	}
	t := newTable(out, header, all)
	t.write(b, header, bold)
	for _, row := range rows {
		t.write(b, row.cells, row.style)
		for _, f := range row.fields[:min(len(row.fields), fieldsShown)] {
			fmt.Fprintf(b, "    %s: %s %s %s\n", clean(f.Path), value(f.Old), out.text(symbolArrow), value(f.New))
		}
		if more := len(row.fields) - fieldsShown; more > 0 {
			fmt.Fprintf(b, "    and %d more fields; -o json has them all\n", more)
		}
	}
}

// what is the title and, when there is one, the reason.
func what(p graph.Planned) string {
	if p.Change.Reason == "" {
		return p.Step.Title
	}
	if p.Step.Title == "" {
		return p.Change.Reason
	}
	return p.Step.Title + ": " + p.Change.Reason
}

func value(v string) string {
	if v == "" {
		return "(none)"
	}
	return clean(v)
}

func signed(action graph.Action) string {
	for _, a := range actions {
		if a.action == action {
			return a.sign + " " + string(action)
		}
	}
	return "  " + string(action)
}

func styleOf(action graph.Action) style {
	for _, a := range actions {
		if a.action == action {
			return a.style
		}
	}
	return none
}

// planSummary counts: "3 to create, 1 to update, 12 unchanged".
func planSummary(count map[graph.Action]int) string {
	var parts []string
	for _, a := range actions {
		if n := count[a.action]; n > 0 && a.action == graph.Unknown {
			parts = append(parts, fmt.Sprintf("%d unknown", n))
		} else if n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, a.action))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to change")
	}
	if n := count[graph.None]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d unchanged", n))
	}
	return strings.Join(parts, ", ")
}
