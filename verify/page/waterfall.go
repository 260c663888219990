// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import "github.com/meshfed/meshfed/verify"

// waterfall is how the steps of `up` went, side by side in time.
type waterfall struct {
	// Total in seconds, Changed and All steps.
	Total        float64
	Changed, All int
	Bars         []bar
}

// bar is one step; Start and Width are shares of the whole.
type bar struct {
	verify.StepTime
	Mark status
	// Ran is false for a step that never started.
	Ran          bool
	Start, Width string
}

// waterfallOf is nil when the report does not come from `up`.
func waterfallOf(steps []verify.StepTime) *waterfall {
	if len(steps) == 0 {
		return nil
	}
	w := &waterfall{All: len(steps)}
	for _, s := range steps {
		w.Total = max(w.Total, s.StartSeconds+s.DurationSeconds)
	}
	for _, s := range steps {
		mark := status{Name: string(verify.Fail), Mark: "✘", Word: s.Status}
		switch s.Status {
		case "changed":
			mark = status{Name: string(verify.Pass), Mark: "✔", Word: s.Status}
			w.Changed++
		case "unchanged":
			mark = status{Name: string(verify.Skip), Mark: "=", Word: s.Status}
		case "blocked", "interrupted":
			mark = status{Name: string(verify.Inconclusive), Mark: "?", Word: s.Status}
		}
		w.Bars = append(w.Bars, bar{s, mark, s.StartSeconds+s.DurationSeconds > 0, percent(s.StartSeconds, w.Total), percent(max(s.DurationSeconds, w.Total/400), w.Total)})
	}
	return w
}
