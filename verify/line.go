// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"
)

// Counted is the summary in words: "94 pass in 23.3 s, probes removed in 8.4 s".
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
