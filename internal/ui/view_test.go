// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	goldenLooks(t, "run", func(out *Output) error {
		observe := Plain(out, fakeSteps())
		for _, e := range stream(t) {
			observe(e)
		}
		return nil
	})
}

// frames plays recorded events and returns what the terminal shows at each time.
func frames(out *Output, steps []graph.Step, events []graph.Event, at ...time.Duration) string {
	start := events[0].Time
	now := start
	term := newTerminal(out, steps, func() time.Time { return now })
	var b strings.Builder
	for _, moment := range at {
		for len(events) > 0 && !events[0].Time.After(start.Add(moment)) {
			now = events[0].Time
			term.Observe(events[0])
			events = events[1:]
		}
		now = start.Add(moment)
		b.WriteString("--- after " + moment.String() + "\n" + strings.Join(term.frame(), "\n") + "\n")
	}
	return b.String()
}

// TestTerminalFrames looks at a run that fails and at one that does not, on terminals of
// many sizes.
func TestTerminalFrames(t *testing.T) {
	t.Parallel()
	names := []string{"west", "east", "north"}
	many := []string{"west", "east", "north", "south", "europe-central-frankfurt", "asia-1", "asia-2", "asia-3", "africa", "oceania"}
	runs := map[string]struct {
		steps  []graph.Step
		events []graph.Event
		at     []time.Duration
	}{
		"sick": {fakeSteps(), stream(t), []time.Duration{0, time.Second, 12 * time.Second, 25 * time.Second, 50 * time.Second, time.Hour}},
		"mesh": {meshSteps(names...), played(t, meshSteps(names...)),
			[]time.Duration{0, 3 * time.Second, 20 * time.Second, 30 * time.Second, 38 * time.Second, 44 * time.Second, 48 * time.Second, time.Hour}},
		"many": {meshSteps(many...), played(t, meshSteps(many...)),
			[]time.Duration{10 * time.Second, 40 * time.Second, 60 * time.Second, time.Hour}},
	}
	sizes := map[string][2]int{"80x24": {80, 24}, "120x40": {120, 40}, "40x20": {40, 20}, "30x24": {30, 24}, "80x8": {80, 8}, "80x4": {80, 4}}
	for run, r := range runs {
		for size, s := range sizes {
			for _, l := range looks() {
				l.out.Writer, l.out.Terminal = &bytes.Buffer{}, true
				l.out.Size = func() (int, int) { return s[0], s[1] }
				t.Run(run+"."+size+"."+l.name, func(t *testing.T) {
					t.Parallel()
					got := frames(&l.out, r.steps, r.events, r.at...)
					checkFrames(t, got, s[0], s[1])
					checkLines(t, got, l.out.Color)
					if l.name == "plain" || run != "many" && size == "80x24" {
						checkFile(t, "frames-"+run+"."+size+"."+l.name+".txt", got)
					}
				})
			}
		}
	}
}

func checkFrames(t *testing.T, frames string, columns, rows int) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(printable(frames)) {
		if lines++; strings.HasPrefix(line, "---") {
			lines = 0
		}
		if n := cells(strings.TrimSuffix(line, "\n")); n >= columns {
			t.Errorf("%d columns wide: %q", n, line)
		}
		if lines >= rows {
			t.Errorf("%d lines on %d rows", lines, rows)
		}
	}
}

func TestTerminalASCII(t *testing.T) {
	t.Parallel()
	got := frames(&Output{Writer: &bytes.Buffer{}, Terminal: true, ASCII: true}, fakeSteps(), stream(t), time.Second, time.Hour)
	for _, r := range got {
		if r > 127 {
			t.Fatalf("%q in %s", r, got)
		}
	}
}

// TestTerminalStream checks what really goes to the terminal, escape sequences and all.
func TestTerminalStream(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	steps := []graph.Step{{ID: "istio@east", Cluster: "east", Title: "Istio control plane"}}
	term := newTerminal(&Output{Writer: &b, Terminal: true}, steps, func() time.Time { return start })
	event := graph.Event{Time: start, Kind: graph.Started, Step: "istio@east", Cluster: "east", Title: "Istio control plane"}
	term.Observe(event)
	term.redraw()
	event.Kind, event.Duration = graph.StepFailed, 25*time.Second
	event.Err = errors.New("istio@east: creating: waiting for \x1b[31mdeployment\x1b[0m\nistiod and a text that goes on and on")
	term.Observe(event)
	if _, err := term.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	term.Close()
	term.Close()
	term.Observe(event)
	checkFile(t, "terminal.txt", b.String())
}

func TestViewWithoutTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	view := NewView(&Output{Writer: &b}, nil)
	view.Observe(graph.Event{Kind: graph.StepUnchanged, Step: "network"})
	view.Close()
	if b.String() != "[  0.0s] network  unchanged\n" {
		t.Errorf("%q", b.String())
	}
}

func TestViewDrawsWhileNothingHappens(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	view := NewView(&Output{Writer: &b, Terminal: true}, []graph.Step{{ID: "a", Title: "A"}})
	view.Observe(graph.Event{Kind: graph.Started, Step: "a", Time: time.Now()})
	time.Sleep(4 * redrawEvery)
	view.Close()
	if n := strings.Count(b.String(), "looking"); n < 2 {
		t.Errorf("drew %d times", n)
	}
}

func TestTerminalTellsHowARunEnded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind graph.EventKind
		want string
	}{
		"changed":     {graph.StepChanged, "✔ west  done, 1 changed"},
		"unchanged":   {graph.StepUnchanged, "✔ west  done, nothing to change"},
		"failed":      {graph.StepFailed, "✘ west  failed: Istio"},
		"blocked":     {graph.StepBlocked, "- west  1 blocked by root"},
		"interrupted": {graph.StepInterrupted, "■ west  interrupted, 1 not done"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term := newTerminal(&Output{Writer: &bytes.Buffer{}, Terminal: true}, []graph.Step{{ID: "a", Cluster: "west", Title: "Istio"}}, time.Now)
			term.Observe(graph.Event{Time: time.Now(), Kind: test.kind, Step: "a", Cluster: "west", Title: "Istio", BlockedBy: []string{"root"}})
			if got := term.frame()[0]; !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
