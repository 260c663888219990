// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Matrix writes the report for people: what stands in for what, one row for each ordered
// pair with a column for each suite, then every result that is not a pass with its words.
func (r *Report) Matrix(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "mesh %s: %s\n", r.Topology, r.counted())
	for _, s := range r.Substitutions {
		fmt.Fprintf(&b, "substitution: %s\n", s)
	}
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "\nFROM\tTO\t%s\n", strings.Join(r.Suites, "\t"))
	for _, p := range pairs(r.Clusters) {
		cells := make([]string, len(r.Suites))
		for i, suite := range r.Suites {
			cells[i] = r.cell(suite, p.From, p.To)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.From, p.To, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the matrix: %w", err)
	}
	r.rest(&b)
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("writing the matrix: %w", err)
	}
	return nil
}

func (r *Report) counted() string {
	var parts []string
	for _, s := range []Status{Pass, Warn, Fail, Inconclusive, Skip} {
		if n := r.Summary[s]; n > 0 || s == Pass {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	text := fmt.Sprintf("%s in %.1f s", strings.Join(parts, ", "), r.DurationSeconds)
	if r.RemovalSeconds > 0 {
		text += fmt.Sprintf(", probes removed in %.1f s", r.RemovalSeconds)
	}
	return text
}

// cell is the worst status with the number of passes among the results, "pass 9/9".
func (r *Report) cell(suite, from, to string) string {
	status, counts := r.Cell(suite, from, to)
	total := 0
	for s, n := range counts {
		if s != Skip {
			total += n
		}
	}
	if total == 0 {
		return "skip"
	}
	if status == Fail {
		return fmt.Sprintf("FAIL %d/%d", counts[Pass], total)
	}
	return fmt.Sprintf("%s %d/%d", status, counts[Pass], total)
}

// rest lists what is not a pass, the worst first.
func (r *Report) rest(b *strings.Builder) {
	for _, status := range worst() {
		if status == Pass {
			continue
		}
		for i, c := range slices.DeleteFunc(slices.Clone(r.Checks), func(c Result) bool { return c.Status != status }) {
			if i == 0 {
				fmt.Fprintf(b, "\n%s\n", status)
			}
			b.WriteString("  " + c.line() + "\n")
		}
	}
}

// line is one result in one line.
func (r Result) line() string {
	where := r.From
	switch {
	case r.From != "" && r.To != "":
		where = r.From + " -> " + r.To
	case r.To != "":
		where = "to " + r.To
	}
	if r.Variant != "" {
		where += " (" + r.Variant + ")"
	}
	text := strings.TrimSpace(r.ID+" "+where) + ": " + r.Message
	if r.Code != "" {
		text += " [" + r.Code + "]"
	}
	return text
}
