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

// RenderPlan writes what would be done: one row for each step that would change
// something, the fields that differ below it, and a summary. Steps with nothing to do are
// counted and not listed.
func RenderPlan(w io.Writer, planned []graph.Planned) error {
	out := outputOf(w)
	count := map[graph.Action]int{}
	header := []string{"STEP", "ACTION", "WHAT"}
	var rows [][]string
	for _, p := range planned {
		if !p.Change.Needed() {
			count[graph.None]++
			continue
		}
		count[p.Change.Action]++
		rows = append(rows, []string{p.Step.ID, signed(p.Change.Action), what(p)})
	}
	var b strings.Builder
	if len(rows) > 0 {
		writePlanRows(&b, out, newTable(out, header, rows), header, rows, planned)
		b.WriteString("\n")
	}
	b.WriteString(out.paint(bold, planSummary(count)) + "\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("writing plan: %w", err)
	}
	return nil
}

func writePlanRows(b *strings.Builder, out *Output, t *table, header []string, rows [][]string, planned []graph.Planned) {
	t.write(b, header, bold)
	row := 0
	for _, p := range planned {
		if !p.Change.Needed() {
			continue
		}
		t.write(b, rows[row], styleOf(p.Change.Action))
		row++
		for _, f := range p.Change.Fields {
			fmt.Fprintf(b, "    %s: %s %s %s\n", clean(f.Path), value(f.Old), out.text(symbolArrow), value(f.New))
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
