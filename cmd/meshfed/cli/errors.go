// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
)

// exit prints an error once, in the output format asked for, and returns the exit code.
// With -o json the error is an object on stdout, like every result. An error without a
// text of its own (a failed check, already reported) only sets the code.
func (a *app) exit(err error) int {
	code := diag.ExitCode(err)
	var silent silentError
	if err == nil || errors.As(err, &silent) {
		return code
	}
	if a.output == "json" {
		a.printJSONError(err, code)
		return code
	}
	ui.PrintError(ui.Detect(a.Err, getenv), err)
	if a.log != "" {
		fmt.Fprintln(a.Err, "log:  ", a.log)
	}
	return code
}

func (a *app) printJSONError(err error, code int) {
	hints := diag.Hints(err)
	if hints == nil {
		hints = []string{}
	}
	for i := range hints {
		hints[i] = run.Redact(hints[i])
	}
	object := struct {
		header
		Message  string   `json:"message"`
		Cluster  string   `json:"cluster,omitempty"`
		Hints    []string `json:"hints"`
		ExitCode int      `json:"exitCode"`
		Log      string   `json:"log,omitempty"`
	}{newHeader("Error", "", nil), run.Redact(err.Error()), diag.Cluster(err), hints, code, a.log}
	if werr := writeJSON(a.Out, object); werr != nil {
		fmt.Fprintln(a.Err, "error:", run.Redact(err.Error()))
	}
}

// silentError only carries an exit code; what it is about was printed as a result.
type silentError struct{}

func (silentError) Error() string { return "see the report" }

// quietExit ends a command with a code after its result was printed; nil for 0.
func quietExit(code int) error {
	if code == diag.ExitOK {
		return nil
	}
	return diag.WithExit(silentError{}, code)
}
