// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// markdownLimit bounds the text: what CI systems show as a summary of a job ends at 64 KiB
	// or is refused above.
	markdownLimit = 60 << 10
	// markdownClusters are as many as a table of from and to is readable for.
	markdownClusters = 16
	// markdownWords bounds one message or command.
	markdownWords = 600
)

// Markdown writes the report for the summary of a CI job: the verdict, what stands in for
// what, a table of from and to, what failed with how to see it again, what is inconclusive,
// and the rest folded. It stays under 60 KiB whatever the mesh: then it says what it left out.
func (r *Report) Markdown(w io.Writer) error {
	page := &page{left: markdownLimit}
	page.block(r.headline())
	r.grid(page)
	r.listed(page, "Failed", Fail, Result.item)
	r.listed(page, "Inconclusive", Inconclusive, Result.item)
	r.folded(page)
	if _, err := io.WriteString(w, page.text.String()); err != nil {
		return fmt.Errorf("writing the report as Markdown: %w", err)
	}
	return nil
}

func (r *Report) headline() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Mesh %s: %s\n\n%s", escaped(r.Topology), r.Verdict(), escaped(r.Counted()))
	if r.Tool != "" {
		fmt.Fprintf(&b, ", %s", escaped(r.By()))
	}
	fmt.Fprintf(&b, ", %s\n", r.Started())
	var notes []string
	for _, s := range r.Restored {
		notes = append(notes, "restored what a killed run had left: "+s)
	}
	for _, s := range r.Substitutions {
		notes = append(notes, "substitution: "+s)
	}
	for i, s := range append(notes, r.NotApplicable()...) {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- %s\n", escaped(s))
	}
	return b.String()
}

// grid is the table of from and to; with many clusters, only the pairs that did not pass.
func (r *Report) grid(p *page) {
	if len(r.Clusters) < 2 {
		return
	}
	if len(r.Clusters) > markdownClusters {
		r.pairs(p)
		return
	}
	var b strings.Builder
	counted := r.Tally()
	b.WriteString("\n| from \\ to |")
	for _, to := range r.Clusters {
		fmt.Fprintf(&b, " %s |", escaped(to))
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(r.Clusters)+1) + "\n")
	for _, from := range r.Clusters {
		fmt.Fprintf(&b, "| **%s** |", escaped(from))
		for _, to := range r.Clusters {
			cell := ""
			if from != to {
				_, cell = counted.inCell(r.Suites, from, to)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	p.items([]string{b.String()})
}

func (r *Report) pairs(p *page) {
	all, counted := pairs(r.Clusters), r.Tally()
	var bad []string
	for _, one := range all {
		if status, cell := counted.inCell(r.Suites, one.From, one.To); status != Pass {
			bad = append(bad, fmt.Sprintf("| %s | %s | %s |\n", escaped(one.From), escaped(one.To), cell))
		}
	}
	p.block(fmt.Sprintf("\n%d of %d ordered pairs passed.\n", len(all)-len(bad), len(all)))
	if len(bad) > 0 {
		p.block("\n| from | to | |\n| --- | --- | --- |\n")
		p.items(bad)
	}
}

// inCell is what a cell says of a pair: "pass 31", or which suites have the worst status.
func (t Tally) inCell(suites []string, from, to string) (Status, string) {
	status, have, passed := t.Pair(suites, from, to)
	switch status {
	case Pass:
		return status, fmt.Sprintf("pass %d", passed)
	case Fail:
		return status, "**FAIL** " + strings.Join(have, ", ")
	}
	return status, strings.TrimSpace(string(status) + " " + strings.Join(have, ", "))
}

func (r *Report) listed(p *page, title string, status Status, text func(Result) string) {
	var all []string
	for _, c := range r.Checks {
		if c.Status == status {
			all = append(all, text(c))
		}
	}
	if len(all) > 0 {
		p.items([]string{fmt.Sprintf("\n### %s (%d)\n\n", title, len(all))})
		p.items(all)
	}
}

// item is a result in a list, with how to see it again.
func (r Result) item() string {
	text := "- " + escaped(r.Line()) + "\n"
	if see := r.See(); see != "" {
		text += "  - " + span(see) + "\n"
	}
	return text
}

// folded are the results that need no reader, by suite.
func (r *Report) folded(p *page) {
	rest := func(c Result) bool { return c.Status == Pass || c.Status == Warn || c.Status == Skip }
	for _, suite := range r.Suites {
		var lines []string
		for _, c := range r.Checks {
			if c.Suite == suite && rest(c) {
				lines = append(lines, fmt.Sprintf("- %s: %s\n", c.Status, escaped(c.Line())))
			}
		}
		if len(lines) == 0 {
			continue
		}
		// Warnings first: they are why somebody opens it.
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(b[:6], a[:6]) })
		open := fmt.Sprintf("\n<details><summary>%s: %d more</summary>\n\n", suite, len(lines))
		if !p.fits(open) {
			p.block("\nFurther results are left out here; the JSON report has them.\n")
			return
		}
		p.block(open)
		p.items(lines)
		p.block("\n</details>\n")
	}
}
