// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"
)

// Counted is the summary in words: "94 pass in 23.3 s, probes removed in 8.4 s, 640 API requests
// and 2130 of probes".
func (r *Report) Counted() string {
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
	if r.Requests != nil {
		text += fmt.Sprintf(", %d API requests and %d of probes", r.Requests.api(), r.Requests.Probes)
	}
	return text
}

// Verdict is the exit code in a word.
func (r *Report) Verdict() string {
	return map[int]string{ExitPass: "passed", ExitFail: "FAILED", ExitInconclusive: "inconclusive"}[r.ExitCode()]
}

// Started is when the run began, in words.
func (r *Report) Started() string { return r.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC") }

// By is the version that ran, without the commit: "meshfed 0.1.0".
func (r *Report) By() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.Tool, "meshfed "), " (")
	return "meshfed " + or(name, "of an unknown version")
}

// See is how to see the result again: a command line, or empty.
func (r Result) See() string {
	see, _ := r.Evidence["see"].(string)
	return see
}

// Keys of the evidence but for what See gives, sorted.
func (e Evidence) Keys() []string {
	return slices.DeleteFunc(sortedKeys(e), func(k string) bool { return k == "see" })
}

// Where says which clusters and which variant a result is about: "west -> east (errors)".
func (r Result) Where() string {
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
	return strings.TrimSpace(where)
}

// Line is one result in one line, without its evidence.
func (r Result) Line() string {
	text := strings.TrimSpace(r.ID+" "+r.Where()) + ": " + r.Message
	if r.Code != "" {
		text += " [" + r.Code + "]"
	}
	return text
}

// Counted is the comparison in words: "2 changes since 2026-11-29 08:00, 1 regression".
func (c *Changes) Counted() string {
	text := numbered(len(c.Changes), "change")
	if len(c.Changes) == 0 {
		text = "nothing changed"
	}
	text += " since " + c.Baseline.StartedAt.UTC().Format("2006-01-02 15:04") + " UTC"
	if c.Regressions > 0 {
		text += ", " + numbered(c.Regressions, "regression")
	}
	if c.StillFailing > 0 {
		text += fmt.Sprintf(", %s as before", numbered(c.StillFailing, "failure"))
	}
	return text
}

func numbered(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Line is one change in one line.
func (c Change) Line() string {
	r := Result{ID: c.ID, From: c.From, To: c.To, Variant: c.Variant, Code: c.Code, Message: c.Message}
	if c.ID == "" {
		return c.label() + ": " + c.Message
	}
	return c.label() + ": " + r.Line()
}

// label is the kind in words.
func (c Change) label() string {
	switch c.Kind {
	case Failed:
		return "new failure"
	case Otherwise:
		return "fails otherwise (was " + or(c.Before, "without a code") + ")"
	case Unsure:
		return "can not be told any more"
	case Warned:
		return "new warning"
	case Clear:
		return "passes now"
	case Skipped:
		return "skipped now"
	case Appeared:
		return "new"
	case Vanished:
		return "gone"
	case MoreLost:
		return "more lost"
	case FewerLost:
		return "fewer lost"
	case Replaced:
		return "changed"
	}
	return string(c.Kind)
}
