// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"encoding/json"
	"errors"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds of events. Each step has one Started unless it never starts, then any
// number of Looked and State, then exactly one of the last five.
const (
	// Started: the step's first Look begins.
	Started EventKind = "started"
	// Looked: the first Look answered; Change is set. Do follows when it is needed.
	Looked EventKind = "looked"
	// StateSeen: the running step reported the State that it last saw.
	StateSeen EventKind = "state"
	// StepChanged: the work is done; Change and Duration are set.
	StepChanged EventKind = "changed"
	// StepUnchanged: there was nothing to do; Duration is set.
	StepUnchanged EventKind = "unchanged"
	// StepFailed: Err and Duration are set.
	StepFailed EventKind = "failed"
	// StepBlocked: never started, because of the failed steps in BlockedBy.
	StepBlocked EventKind = "blocked"
	// StepInterrupted: stopped, or never started, because the context ended.
	StepInterrupted EventKind = "interrupted"
)

// Final reports whether no further event of the same step follows.
func (k EventKind) Final() bool {
	switch k {
	case StepChanged, StepUnchanged, StepFailed, StepBlocked, StepInterrupted:
		return true
	}
	return false
}

// Event is one thing that happened to one step. It marshals to one JSON object, with
// durations in seconds and the error as its text, and back.
type Event struct {
	Time time.Time
	Kind EventKind
	// Step, Cluster and Title are those of the step.
	Step, Cluster, Title string
	// State is the last state that the step reported; empty when it reported none.
	State string
	// Change is what the first Look found; nil before.
	Change *Change
	// Duration is the time since the step started.
	Duration time.Duration
	// Expected is the step's own.
	Expected time.Duration
	// Err is why the step failed or was interrupted.
	Err error
	// BlockedBy are the IDs of the failed steps that this one depends on, directly or
	// through others, in list order.
	BlockedBy []string
}

// eventJSON is an Event on the wire. Fields are only ever added.
type eventJSON struct {
	Time      time.Time `json:"time"`
	Kind      EventKind `json:"event"`
	Step      string    `json:"step"`
	Cluster   string    `json:"cluster,omitempty"`
	Title     string    `json:"title,omitempty"`
	State     string    `json:"state,omitempty"`
	Change    *Change   `json:"change,omitempty"`
	Duration  float64   `json:"durationSeconds"`
	Expected  float64   `json:"expectedSeconds,omitempty"`
	Error     string    `json:"error,omitempty"`
	BlockedBy []string  `json:"blockedBy,omitempty"`
}

// MarshalJSON writes durations as seconds, to the millisecond, and the error as text.
func (e Event) MarshalJSON() ([]byte, error) {
	out := eventJSON{
		Time: e.Time, Kind: e.Kind, Step: e.Step, Cluster: e.Cluster, Title: e.Title, State: e.State,
		Change: e.Change, Duration: seconds(e.Duration), Expected: seconds(e.Expected), BlockedBy: e.BlockedBy,
	}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. The error comes back as text only.
func (e *Event) UnmarshalJSON(data []byte) error {
	var in eventJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*e = Event{
		Time: in.Time, Kind: in.Kind, Step: in.Step, Cluster: in.Cluster, Title: in.Title, State: in.State,
		Change: in.Change, Duration: fromSeconds(in.Duration), Expected: fromSeconds(in.Expected), BlockedBy: in.BlockedBy,
	}
	if in.Error != "" {
		e.Err = errors.New(in.Error)
	}
	return nil
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
func fromSeconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}
