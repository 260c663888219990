// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// View shows a run.
type View struct {
	// Observe is for graph.Options.
	Observe func(graph.Event)
	// Log takes whole lines that belong above the progress, such as those of a logger.
	Log io.Writer
	// Timeline draws a load below the progress, in place of what was drawn of it before. It is nil
	// where nothing can be drawn over.
	Timeline func(Timeline)
	// Close ends the view: on a terminal it draws a last time and leaves the lines where
	// they are. It must be called before anything else is written to the output; calling
	// it again does nothing.
	Close func()
}

// NewView chooses the view that fits the output: lines redrawn in place on a terminal, and
// elsewhere one line for each step that ended and, while nothing ends, now and then one
// about what is under way.
func NewView(out *Output, steps []graph.Step) View {
	if !out.Terminal {
		j := newJournal(out, steps, time.Now)
		stop := every(time.Second, j.remind)
		return View{Observe: j.Observe, Log: j, Close: stop}
	}
	t := NewTerminal(out, steps)
	return View{Observe: t.Observe, Log: t, Timeline: t.Timeline, Close: t.Close}
}
