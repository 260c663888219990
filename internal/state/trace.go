// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/run"
)

// Trace writes spans in the Chrome trace-event format (JSON array form), which
// chrome://tracing and ui.perfetto.dev read. The closing bracket is optional there, so the
// trace of a killed run can be read too. Safe for concurrent use.
type Trace struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
	lanes map[string]int
	begun bool
}

// traceEvent is one entry; the one-letter names are those of the format.
type traceEvent struct {
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Start    int64          `json:"ts"`            // microseconds
	Duration *int64         `json:"dur,omitempty"` // microseconds
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args,omitempty"`
}

// NewTrace returns a trace whose times count from start.
func NewTrace(w io.Writer, start time.Time) *Trace {
	return &Trace{w: w, start: start, lanes: map[string]int{}}
}

// Complete adds a span. The lane, such as a cluster's name, is the row that the span is
// drawn in; category and args may be empty.
func (t *Trace) Complete(lane, name, category string, start time.Time, d time.Duration, args map[string]any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	row, known := t.lanes[lane]
	if !known {
		row = len(t.lanes) + 1
		t.lanes[lane] = row
		if err := t.add(traceEvent{Name: "thread_name", Phase: "M", Thread: row, Args: map[string]any{"name": lane}}); err != nil {
			return err
		}
	}
	duration := d.Microseconds()
	return t.add(traceEvent{
		Name: name, Category: category, Phase: "X", Thread: row, Args: args,
		Start: start.Sub(t.start).Microseconds(), Duration: &duration,
	})
}

func (t *Trace) add(e traceEvent) error {
	e.Process = 1
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("recording a span: %w", err)
	}
	if _, err := t.w.Write(append([]byte(t.separator()), run.RedactJSON(data)...)); err != nil {
		return fmt.Errorf("recording a span: %w", err)
	}
	return nil
}

func (t *Trace) separator() string {
	if t.begun {
		return ",\n"
	}
	t.begun = true
	return "[\n"
}

// Close ends the array. It does not close the writer underneath.
func (t *Trace) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := "\n]\n"
	if !t.begun {
		end = "[]\n"
	}
	_, err := io.WriteString(t.w, end)
	return err
}
