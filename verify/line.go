// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
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

// Line is one result in one line, without its evidence.
func (r Result) Line() string {
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
