// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/verify"
)

// maxValue bounds one value of evidence in bytes.
const maxValue = 16 << 10

// group is a fold of the list of checks: those that need a reader by their status, the others
// by suite.
type group struct {
	ID, Title string
	// Mark is the status of all its checks, or empty.
	Mark status
	Open bool
	// Counts of the checks in it.
	Counts []count
	Checks []check
	// Packed is how many of them the script unpacks.
	Packed int
}

// check is one result.
type check struct {
	verify.Result
	Status status
	// Figure is the id of the time line that is drawn of it; empty when there is none.
	Figure string
	// Commands show it again, one a line.
	Commands []string
	Evidence []item
}

// item is one value of evidence; long ones are a block.
type item struct {
	Key, Text string
	Block     bool
}

// groupsOf sorts the checks: what failed, what is inconclusive, what warned, then each suite.
func groupsOf(r *verify.Report) []group {
	var all []group
	for _, s := range statuses()[:3] {
		title := strings.ToUpper(s.Word[:1]) + s.Word[1:]
		g := group{ID: "g-" + s.Name, Title: title, Mark: s, Open: true}
		all = g.gather(all, r, func(c verify.Result) bool { return string(c.Status) == s.Name })
	}
	needsReader := []verify.Status{verify.Fail, verify.Inconclusive, verify.Warn}
	suites := slices.Clone(r.Suites)
	for _, c := range r.Checks { // a report from elsewhere may have more
		if !slices.Contains(suites, c.Suite) {
			suites = append(suites, c.Suite)
		}
	}
	for _, suite := range suites {
		g := group{ID: "g-suite-" + anchor(suite), Title: suite}
		all = g.gather(all, r, func(c verify.Result) bool { return c.Suite == suite && !slices.Contains(needsReader, c.Status) })
	}
	return all
}

// gather adds the group to the others unless there is nothing in it.
func (g group) gather(all []group, r *verify.Report, in func(verify.Result) bool) []group {
	n := map[string]int{}
	for _, c := range r.Checks {
		if in(c) {
			g.Checks = append(g.Checks, checkOf(c))
			n[string(c.Status)]++
		}
	}
	for _, s := range statuses() {
		if n[s.Name] > 0 {
			g.Counts = append(g.Counts, count{s, n[s.Name]})
		}
	}
	if len(g.Checks) == 0 {
		return all
	}
	return append(all, g)
}

func checkOf(c verify.Result) check {
	out := check{Result: c, Status: of(c.Status)}
	if line, ok := timelineOf(c); ok && len(line.series) > 0 {
		out.Figure = figureID(c)
	}
	if see := c.See(); see != "" {
		out.Commands = strings.Split(strings.TrimSpace(see), "\n")
	}
	for _, key := range c.Evidence.Keys() {
		if key == timelineKey && out.Figure != "" {
			continue
		}
		out.Evidence = append(out.Evidence, itemOf(key, c.Evidence[key]))
	}
	return out
}

func itemOf(key string, value any) item {
	text, flat := inline(value)
	if !flat {
		text = indented(value)
	}
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "\n... the JSON report has the rest"
	}
	return item{Key: key, Text: text, Block: !flat || len(text) > 160 || strings.Contains(text, "\n")}
}

// inline is a value in one line, if it is one that reads well there.
func inline(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case nil:
		return "none", true
	case []any:
		var parts []string
		for _, one := range v {
			if _, nested := one.(map[string]any); nested {
				return "", false
			}
			text, ok := inline(one)
			if _, list := one.([]any); list || !ok {
				return "", false
			}
			parts = append(parts, text)
		}
		if text := strings.Join(parts, ", "); len(text) <= 160 {
			return text, true
		}
		return strings.Join(parts, "\n"), true
	case map[string]any:
		return "", false
	}
	return fmt.Sprint(value), true
}

// indented is JSON for people: nothing of it is escaped for HTML, for the page does that.
func indented(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}
