// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// load is a time line of phases: so many steps of own, other, both, lost or nothing.
func load(label string, fault, repair int, phases ...any) Timeline {
	t := Timeline{Label: label, Fault: fault, Repair: repair}
	for i := 0; i < len(phases); i += 2 {
		n, who := phases[i].(int), phases[i+1].(string)
		count := func(names ...string) []int {
			one := 0
			if slices.Contains(names, who) {
				one = 2
			}
			return slices.Repeat([]int{one}, n)
		}
		t.Own, t.Other, t.Lost = append(t.Own, count("own", "both")...), append(t.Other, count("other", "both")...), append(t.Lost, count("lost")...)
	}
	return t
}

func loads() []Timeline {
	return []Timeline{
		load("west -> east errors", 10, 30, 10, "own", 3, "lost", 27, "other", 10, "own"),
		load("west -> east gateway, default retries", 12, 50, 12, "both", 1, "lost", 40, "own", 3, "nobody", 30, "both"),
		load("east -> west errors", 0, 0, 8, "own"),
	}
}

func TestTimelines(t *testing.T) {
	t.Parallel()
	goldenLooks(t, "timelines", func(o *Output) error {
		_, err := io.WriteString(o, strings.Join(o.timelines(loads(), 79), "\n")+"\n")
		return err
	})
}

// TestTimelinesAreDrawnBelowTheProgress, as many as there is room for, and nothing wider.
func TestTimelinesAreDrawnBelowTheProgress(t *testing.T) {
	t.Parallel()
	for rows, want := range map[int]int{24: 3, 6: 3, 5: 2, 4: 1} {
		out := &Output{Writer: io.Discard, Terminal: true, Size: func() (int, int) { return 60, rows }}
		term := newTerminal(out, []graph.Step{{ID: "verify", Title: "proof"}}, time.Now)
		for _, l := range loads() {
			term.Timeline(l)
			term.Timeline(l) // one that is there is replaced
		}
		frame := term.frame()
		drawn := 0
		for _, line := range frame {
			if strings.Contains(line, "->") {
				drawn++
			}
			if cells(printable(line)) > 59 {
				t.Errorf("%d rows: too wide: %q", rows, line)
			}
		}
		if drawn != want || len(frame) >= rows {
			t.Errorf("%d rows: %d time lines in %d lines:\n%s", rows, drawn, len(frame), strings.Join(frame, "\n"))
		}
	}
}

func TestATimelineThatIsNotThereDrawsNothing(t *testing.T) {
	t.Parallel()
	if got := (&Output{}).timelines(nil, 80); got != nil {
		t.Errorf("%q", got)
	}
	if v := NewView(&Output{Writer: io.Discard}, nil); v.Timeline != nil {
		t.Error("a view without a terminal would draw")
	}
}
