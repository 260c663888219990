// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"errors"
	"fmt"
)

// StepError is why one step failed or was interrupted. Result.Err joins these.
type StepError struct {
	// Step and Cluster name the step.
	Step, Cluster string
	// Doing says what was under way: "looking", "creating", "looking again".
	Doing string
	// State is the last state that the step reported.
	State string
	// Err is the cause.
	Err error
}

// Error names the step, what was under way and the cause.
func (e *StepError) Error() string { return e.Step + ": " + e.Doing + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// PanicError is a panic inside a step's Look or Do. It is always a bug.
type PanicError struct {
	// Value is what was given to panic.
	Value any
	// Stack is where; it is for the log, not for the screen.
	Stack []byte
}

// Error gives the value without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panicking (a bug): %v", e.Value) }

var (
	errExited   = errors.New("step ended its goroutine without an answer (a bug)")
	errStubborn = errors.New("did not stop when told to; its work may still be going on")
)

// stillNeeded is the error of a second Look that found something left to do.
func stillNeeded(c Change) error {
	if c.Reason == "" {
		return fmt.Errorf("still %s", c.Action)
	}
	return fmt.Errorf("still %s: %s", c.Action, c.Reason)
}
