// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	w := newWorld()
	tests := map[string]struct {
		steps []graph.Step
		want  string // lines joined by "; "
	}{
		"empty list":   {},
		"fine":         {steps: []graph.Step{w.step("b", "a"), w.step("a")}},
		"no id":        {steps: []graph.Step{w.step("")}, want: "step number 1 has no ID"},
		"twice":        {steps: []graph.Step{w.step("a"), w.step("a")}, want: `step "a" is listed twice`},
		"no functions": {steps: []graph.Step{{ID: "a"}}, want: `step "a" lacks Look or Do`},
		"all at once": {
			steps: []graph.Step{w.step("a", "x"), w.step("a", "y")},
			want:  `step "a" is listed twice; step "a" needs "x", which is not in the list; step "a" needs "y", which is not in the list`,
		},
		"itself": {steps: []graph.Step{w.step("a", "a")}, want: "steps need one another in a circle: a -> a"},
		"circle": {
			steps: []graph.Step{w.step("a", "b"), w.step("b", "c"), w.step("c", "d"), w.step("d", "b")},
			want:  "steps need one another in a circle: b -> c -> d -> b",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := graph.Validate(test.steps); err != nil {
				got = strings.ReplaceAll(err.Error(), "\n", "; ")
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if test.want == "" {
				return
			}
			if r := graph.Run(t.Context(), test.steps, graph.Options{}); r.Err() == nil || r.Outcomes != nil {
				t.Errorf("Run went ahead: %v", statuses(r))
			}
		})
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	steps := []graph.Step{
		{ID: "istio@west", Needs: []string{"cluster@west"}, Expected: 20 * time.Second},
		{ID: "cluster@west", Expected: 60 * time.Second},
		{ID: "cluster@east", Expected: 30 * time.Second},
		{ID: "secret", Needs: []string{"istio@west", "cluster@east"}, Expected: time.Second},
	}
	tests := map[string]struct {
		done []string
		want time.Duration
	}{
		"all to do":        {want: 81 * time.Second},
		"one branch done":  {done: []string{"cluster@west", "istio@west"}, want: 31 * time.Second},
		"only the last":    {done: []string{"cluster@west", "istio@west", "cluster@east"}, want: time.Second},
		"done in a middle": {done: []string{"istio@west"}, want: 61 * time.Second},
		"all done":         {done: []string{"cluster@west", "istio@west", "cluster@east", "secret"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := map[string]bool{}
			for _, id := range test.done {
				done[id] = true
			}
			if got := graph.Remaining(steps, done); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
