// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// attempt is one step while it runs.
type attempt struct {
	step    Step
	options Options
	started time.Time

	mu     sync.Mutex // guards what follows
	closed bool       // the outcome is known: a step that goes on all the same is not heard
	doing  string
	state  string
	change *Change
}

func newAttempt(step Step, o Options) *attempt {
	return &attempt{step: step, options: o, started: time.Now(), doing: "looking"}
}

// run looks, does, and looks again. It returns within the grace after ctx ended.
func (a *attempt) run(ctx context.Context) Outcome {
	a.tell(Started)
	err := a.guarded(ctx, func(ctx context.Context) error {
		change, err := a.look(ctx)
		if err != nil || !change.Needed() {
			return err
		}
		a.now(change.Action.doing())
		if err := a.step.Do(ctx, change); err != nil {
			return err
		}
		a.now("looking again")
		left, err := a.step.Look(ctx)
		if err == nil && left.Needed() {
			err = stillNeeded(left)
		}
		return err
	})
	return a.outcome(ctx, err)
}

// look is the first Look; it tells what it found.
func (a *attempt) look(ctx context.Context) (Change, error) {
	change, err := a.step.Look(ctx)
	if err != nil {
		return change, err
	}
	if change.Action == "" {
		change.Action = None
	}
	a.mu.Lock()
	a.change = &change
	a.mu.Unlock()
	a.tell(Looked)
	return change, nil
}

// guarded calls work in its own goroutine with the step's time limit, turns a panic into
// an error, and gives up on work that does not stop within the grace.
func (a *attempt) guarded(ctx context.Context, work func(context.Context) error) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if a.step.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, a.step.Timeout)
	}
	defer cancel()
	defer a.close()

	answer := make(chan error, 1)
	go func() {
		err := errExited
		defer func() {
			if value := recover(); value != nil {
				err = &PanicError{Value: value, Stack: debug.Stack()}
			}
			answer <- err
		}()
		err = work(WithState(limited, a.report))
	}()

	var err error
	select {
	case err = <-answer:
	case <-limited.Done():
		grace := time.NewTimer(a.options.Grace)
		defer grace.Stop()
		select {
		case err = <-answer:
		case <-grace.C:
			err = errStubborn
		}
	}
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = a.late(err)
	}
	return err
}

// late is the error of a step whose time ran out: never a bare time-out.
func (a *attempt) late(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("not done within %s", a.step.Timeout)
	if a.state != "" && !strings.Contains(err.Error(), a.state) {
		text += "; last seen: " + a.state
	}
	return &lateError{text: text, err: err}
}

// lateError hides a cause that says nothing but that the time is over.
type lateError struct {
	text string
	err  error
}

func (e *lateError) Error() string {
	if cause := e.err.Error(); cause != context.DeadlineExceeded.Error() {
		return e.text + ": " + cause
	}
	return e.text
}

func (e *lateError) Unwrap() error { return e.err }

func (a *attempt) outcome(ctx context.Context, err error) Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := Outcome{Step: a.step, Status: Unchanged, Started: a.started, Duration: time.Since(a.started)}
	if a.change != nil {
		o.Change = *a.change
	}
	switch {
	case err == nil && o.Change.Needed():
		o.Status = Changed
	case err != nil:
		o.Status = Failed
		if ctx.Err() != nil {
			o.Status = Interrupted
		}
		o.Err = &StepError{Step: a.step.ID, Cluster: a.step.Cluster, Doing: a.doing, State: a.state, Err: err}
	}
	return o
}

// report is what State calls while the step runs.
func (a *attempt) report(state string) {
	a.mu.Lock()
	same := state == a.state
	if !a.closed {
		a.state = state
	}
	a.mu.Unlock()
	if !same {
		a.tell(StateSeen)
	}
}

func (a *attempt) now(doing string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.doing = doing
	}
}

func (a *attempt) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// tell emits an event of the running step; silent once the outcome is known.
func (a *attempt) tell(kind EventKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.options.Observe(a.event(kind))
}

func (a *attempt) event(kind EventKind) Event {
	now := time.Now()
	return Event{
		Time: now, Kind: kind, Step: a.step.ID, Cluster: a.step.Cluster, Title: a.step.Title,
		State: a.state, Change: a.change, Duration: now.Sub(a.started), Expected: a.step.Expected,
	}
}
