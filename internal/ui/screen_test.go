// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// screen is as much of a terminal as the live area uses.
type screen struct {
	lines  []string
	row    int
	hidden bool // the cursor
}

// Write plays what a program prints.
func (s *screen) Write(data []byte) (int, error) {
	for text := string(data); text != ""; {
		cut := escapeLength(text)
		switch {
		case cut > 0:
			s.control(text[2:cut-1], text[cut-1])
			text = text[cut:]
			continue
		case strings.HasPrefix(text, "\n"):
			s.row++
		case !strings.HasPrefix(text, "\r"):
			end := strings.IndexAny(text, "\x1b\r\n")
			if end < 0 {
				end = len(text)
			}
			s.line()
			s.lines[s.row] = text[:end] // a line is always drawn from its beginning, and its rest is cleared
			text = text[end:]
			continue
		}
		text = text[1:]
	}
	return len(data), nil
}

func (s *screen) line() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) control(parameter string, kind byte) {
	n, err := strconv.Atoi(parameter)
	if err != nil {
		n = 1
	}
	switch kind {
	case 'A':
		s.row -= n
	case 'B':
		s.row += n
	case 'J':
		s.line()
		s.lines = s.lines[:s.row]
	case 'h', 'l':
		s.hidden = kind == 'l'
	}
}

// TestTheScreenShowsTheFrame plays a run onto a screen: after every drawing, the live area
// is the frame and nothing is left of an earlier one.
func TestTheScreenShowsTheFrame(t *testing.T) {
	t.Parallel()
	events := stream(t)
	start := events[0].Time
	now := start
	s := &screen{}
	columns := 80
	out := &Output{Writer: s, Terminal: true, Size: func() (int, int) { return columns, 24 }}
	term := newTerminal(out, fakeSteps(), func() time.Time { return now })
	check := func() {
		t.Helper()
		frame := term.frame()
		got := s.lines[max(0, len(s.lines)-len(frame)):]
		if strings.Join(got, "\n") != strings.Join(frame, "\n") || s.row != len(s.lines) || s.hidden {
			t.Fatalf("at %v, cursor in line %d of %d, hidden %v:\n%s\nwant\n%s", now.Sub(start), s.row, len(s.lines), s.hidden, strings.Join(got, "\n"), strings.Join(frame, "\n"))
		}
	}
	for ; now.Before(start.Add(time.Minute)); now = now.Add(redrawEvery) {
		for len(events) > 0 && !events[0].Time.After(now) {
			term.Observe(events[0])
			events = events[1:]
		}
		if second := now.Sub(start) / time.Second; second == 30 {
			columns = 100 // a wider window keeps its lines
		}
		term.redraw()
		check()
	}
	if _, err := term.Write([]byte("a line of a log\nand another\n")); err != nil {
		t.Fatal(err)
	}
	check()
	term.Close()
	check()
	kept := strings.Join(s.lines[:len(s.lines)-len(term.frame())], "\n")
	for _, want := range []string{"✘ east: Istio control plane failed after 25.0s: creating:", "a line of a log\nand another"} {
		if !strings.Contains(kept, want) {
			t.Errorf("%q is missing above the progress:\n%s", want, kept)
		}
	}
}

// TestNarrowerWindow: lines that the terminal had to break take more rows, all of which are
// drawn over.
func TestNarrowerWindow(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	columns := 80
	out := &Output{Writer: &b, Terminal: true, Color: true, Size: func() (int, int) { return columns, 24 }}
	term := newTerminal(out, fakeSteps()[:3], time.Now)
	term.Observe(graph.Event{Kind: graph.Started, Step: "network", Time: time.Now()})
	term.redraw()
	columns = 40
	b.Reset()
	term.redraw()
	// Two lines of 79 columns are four rows of 40 by now; the summary is still one.
	if got := b.String(); !strings.HasPrefix(got, hideCursor+"\r\x1b[5A") || !strings.HasSuffix(got, "\x1b[J"+showCursor) {
		t.Errorf("%q", got)
	}
}

// TestNothingNewDrawsNothing keeps slow lines quiet.
func TestNothingNewDrawsNothing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	now := time.Now()
	term := newTerminal(&Output{Writer: &b, Terminal: true}, fakeSteps(), func() time.Time { return now })
	term.redraw()
	b.Reset()
	term.redraw()
	if b.Len() > 0 {
		t.Errorf("drew %q", b.String())
	}
}
