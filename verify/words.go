// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/probe"
)

// or is the first of some words that are not empty.
func or(words ...string) string { return cmp.Or(words...) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// described says in one line how requests ended, the most frequent first.
func described(outcomes []probe.Outcome) string {
	if len(outcomes) == 0 {
		return "no request was sent"
	}
	sorted := slices.SortedStableFunc(slices.Values(outcomes), func(a, b probe.Outcome) int { return b.Count - a.Count })
	var parts []string
	for _, o := range sorted[:min(len(sorted), 4)] {
		parts = append(parts, fmt.Sprintf("%d x %s", o.Count, ending(o)))
	}
	return strings.Join(parts, ", ")
}

func ending(o probe.Outcome) string {
	if o.Status != 0 {
		text := fmt.Sprintf("%d", o.Status)
		if !o.OK() && o.Detail != "" {
			text += " (" + clip(o.Detail) + ")"
		}
		return text
	}
	if o.Detail == "" {
		return o.Error
	}
	return o.Error + " (" + clip(o.Detail) + ")"
}

// clip leaves what fits into a line of a report.
func clip(s string) string { return diag.Clip(strings.TrimSpace(s), 160) }
