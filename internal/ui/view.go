// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io"

	"github.com/meshfed/meshfed/internal/graph"
)

// View shows a run.
type View struct {
	// Observe is for graph.Options.
	Observe func(graph.Event)
	// Log takes whole lines that belong above the progress, such as those of a logger.
	Log io.Writer
	// Close ends the view: on a terminal it draws a last time and leaves the lines where
	// they are. It must be called before anything else is written to the output; calling
	// it again does nothing.
	Close func()
}

// NewView chooses the view that fits the output: lines redrawn in place on a terminal,
// and one line for each event elsewhere.
func NewView(out *Output, steps []graph.Step) View {
	if !out.Terminal {
		return View{Observe: Plain(out, steps), Log: out, Close: func() {}}
	}
	t := NewTerminal(out, steps)
	return View{Observe: t.Observe, Log: t, Close: t.Close}
}
