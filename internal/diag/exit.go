// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"context"
	"errors"
	"fmt"
)

// Exit codes of the command, a contract with scripts: they never depend on the output format.
const (
	// ExitOK means that everything asked for is so.
	ExitOK = 0
	// ExitFailed means that something went wrong on the way.
	ExitFailed = 1
	// ExitUsage means a wrong command line or a bad file; nothing was touched.
	ExitUsage = 2
	// ExitCheckFailed means that a check failed.
	ExitCheckFailed = 3
	// ExitInconclusive means that no check failed but one could not tell, or none passed.
	ExitInconclusive = 4
	// ExitWouldChange means that something would change; only with --detailed-exitcode.
	ExitWouldChange = 5
	// ExitInterrupted means that the user or a signal stopped the command.
	ExitInterrupted = 130
)

// ExitError is an error that decides the exit code of the command.
type ExitError struct {
	// Code is one of the Exit constants.
	Code int
	// Err is the cause; nil when there is nothing to print, as when a report says it all.
	Err error
}

// Error returns the cause's message, or the code when there is none.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// WithExit gives err an exit code. A nil error stays nil: to end with a code and print
// nothing, return &ExitError{Code: ...}.
func WithExit(err error, code int) error {
	if err == nil {
		return nil
	}
	return &ExitError{Code: code, Err: err}
}

// ExitCode says how the command ends: 0 for nil, the code of the outermost ExitError,
// 130 for context.Canceled, else 1. A time-out (context.DeadlineExceeded) is a failure.
func ExitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}
