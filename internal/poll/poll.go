// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// DefaultInterval is the time between two looks when Options name none.
const DefaultInterval = 500 * time.Millisecond

// jitter is the part of the interval by which waits differ, so that many waiters do not
// ask one API server at the same moment.
const jitter = 0.2

// ErrDeadline is what errors.Is finds in the error of a wait that reached Options.Deadline.
var ErrDeadline = errors.New("deadline reached")

// Options say what is waited for and how long.
type Options struct {
	// What is waited for, as it reads after "waiting for": "istiod in west".
	What string
	// Interval between two looks, give or take a fifth; DefaultInterval when 0.
	Interval time.Duration
	// Deadline counts from the call; 0 means that only the context ends the wait.
	Deadline time.Duration
	// Observe, when set, is told each state that differs from the one before.
	Observe func(state string)
}

// stopped marks an error that ends a wait at once.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }
func (s *stopped) Unwrap() error { return s.err }

// Stop wraps an error that no further look can mend: Until returns it at once. Nil stays nil.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &stopped{err: err}
}

// Until calls look at once and then after every interval until it says done. It blocks.
//
// An error of look is taken as transient and becomes the last state seen, unless Stop
// wraps it. When the deadline passes, the error reads "waiting for <What>: not within
// 2m0s; last seen: <state or error>" and wraps ErrDeadline and look's last error; when ctx
// ends, it wraps ctx's error with the same last state. The context that look receives
// ends at the deadline too, so a look that respects it can not outlast the wait; its cause says
// which wait that was.
func Until(ctx context.Context, o Options, look func(ctx context.Context) (done bool, state string, err error)) error {
	w := wait{Options: o, seen: "nothing yet"}
	bounded := ctx
	if o.Deadline > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeoutCause(ctx, o.Deadline, &endedError{text: o.over(), cause: ErrDeadline})
		defer cancel()
	}
	for {
		if bounded.Err() != nil {
			return w.ended(ctx)
		}
		done, state, err := look(bounded)
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return fmt.Errorf("waiting for %s: %w", o.What, err)
		case err == nil && done:
			return nil
		}
		// What a look says after its context has ended is only that: keep what it saw before.
		if err == nil || bounded.Err() == nil {
			w.note(state, err)
		}
		timer := time.NewTimer(w.pause())
		select {
		case <-bounded.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// wait is what Until remembers between two looks.
type wait struct {
	Options
	seen string
	err  error
}

func (w *wait) note(state string, err error) {
	seen := state
	switch {
	case err != nil && state != "":
		seen = state + ": " + err.Error()
	case err != nil:
		seen = err.Error()
	case state == "":
		seen = "not yet"
	}
	w.err = err
	if seen != w.seen && w.Observe != nil {
		w.Observe(seen)
	}
	w.seen = seen
}

func (w *wait) pause() time.Duration {
	interval := w.Interval
	if interval <= 0 {
		interval = DefaultInterval
	}
	return time.Duration(float64(interval) * (1 + jitter*(2*rand.Float64()-1)))
}

// ended says why the wait is over: parent is the caller's context, without the deadline.
func (w *wait) ended(parent context.Context) error {
	e := &endedError{cause: ErrDeadline, last: w.err}
	if parent.Err() != nil {
		e.cause = parent.Err()
		e.text = fmt.Sprintf("waiting for %s: %v; last seen: %s", w.What, e.cause, w.seen)
		return e
	}
	e.text = fmt.Sprintf("%s; last seen: %s", w.over(), w.seen)
	return e
}

// over says which deadline has passed.
func (o Options) over() string {
	return fmt.Sprintf("waiting for %s: not within %s", o.What, o.Deadline)
}

// endedError wraps both why the wait ended and the last error of look, so that hints and
// causes are found, with a text that reads as one sentence.
type endedError struct {
	text        string
	cause, last error
}

func (e *endedError) Error() string { return e.text }

func (e *endedError) Unwrap() []error {
	if e.last == nil {
		return []error{e.cause}
	}
	return []error{e.cause, e.last}
}
