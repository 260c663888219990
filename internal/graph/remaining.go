// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "time"

// Remaining estimates the time left: the longest chain of expected durations among the
// steps that are not done. It assumes that everything independent runs side by side, so
// it is a lower bound when Options.Parallel is small. It is pure; needs that are not in
// the list, and circles, count as nothing.
func Remaining(steps []Step, done map[string]bool) time.Duration {
	byID := make(map[string]Step, len(steps))
	for _, s := range steps {
		byID[s.ID] = s
	}
	known := make(map[string]time.Duration, len(steps))
	var until func(id string) time.Duration
	until = func(id string) time.Duration {
		if t, ok := known[id]; ok {
			return t
		}
		known[id] = 0 // ends a circle
		s := byID[id]
		var t time.Duration
		for _, need := range s.Needs {
			t = max(t, until(need))
		}
		if !done[id] {
			t += s.Expected
		}
		known[id] = t
		return t
	}
	var longest time.Duration
	for _, s := range steps {
		longest = max(longest, until(s.ID))
	}
	return longest
}
