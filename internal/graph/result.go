// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Status is how a step ended. Its values are those of the final event kinds.
type Status string

// How a step can end.
const (
	// Changed: there was something to do, and it is done.
	Changed Status = "changed"
	// Unchanged: there was nothing to do.
	Unchanged Status = "unchanged"
	// Failed: Err says why.
	Failed Status = "failed"
	// Blocked: not started, because of the failures in BlockedBy.
	Blocked Status = "blocked"
	// Interrupted: stopped or not started because the context ended.
	Interrupted Status = "interrupted"
)

// Outcome is how one step ended.
type Outcome struct {
	Step   Step
	Status Status
	// Change is what the first Look found; zero when it did not answer.
	Change Change
	// Err is a *StepError when the step failed or was stopped while running, else nil.
	Err error
	// BlockedBy are the IDs of the failed steps below this one, in list order.
	BlockedBy []string
	// Started is when the step began; zero when it never did.
	Started time.Time
	// Duration is from the step's start to its end; 0 when it never started.
	Duration time.Duration
}

// Result is how a run ended. Outcomes has one entry for each step, in list order.
type Result struct {
	Outcomes []Outcome
	// Started is when the run began, Duration how long it took.
	Started  time.Time
	Duration time.Duration

	err error // why nothing ran, or why the run was interrupted
}

// Changed reports whether any step changed something, or may have: a step that failed
// or was interrupted after its Look found something to do counts.
func (r Result) Changed() bool {
	for _, o := range r.Outcomes {
		if o.Status == Changed || o.Err != nil && o.Change.Needed() {
			return true
		}
	}
	return false
}

// Failed returns the outcomes of the steps that failed, in list order.
func (r Result) Failed() []Outcome { return r.with(Failed) }

// Blocked returns the outcomes of the steps that failures kept from starting.
func (r Result) Blocked() []Outcome { return r.with(Blocked) }

// Interrupted returns the outcomes of the steps that were stopped or never started
// because the context ended.
func (r Result) Interrupted() []Outcome { return r.with(Interrupted) }

func (r Result) with(s Status) []Outcome {
	var out []Outcome
	for _, o := range r.Outcomes {
		if o.Status == s {
			out = append(out, o)
		}
	}
	return out
}

// Err is nil when every step is done. Otherwise it joins the errors of the failed steps,
// in list order, and, when the run was interrupted, what ended its context: errors.Is
// finds context.Canceled after Ctrl-C. Blocked steps add nothing: their cause is there.
func (r Result) Err() error {
	var all []error
	for _, o := range r.Outcomes {
		if o.Status == Failed {
			all = append(all, o.Err)
		}
	}
	if r.err != nil {
		all = append(all, r.err)
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// interruption is the error of a run that its context ended.
func interruption(ctx context.Context, stopped []Outcome) error {
	cause := context.Cause(ctx)
	for _, o := range stopped {
		if o.Err != nil {
			return fmt.Errorf("interrupted while %s was running: %w", o.Step.ID, cause)
		}
	}
	return fmt.Errorf("interrupted: %w", cause)
}
