// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/ui"
)

// exit prints an error once, in the output format asked for, and returns the exit code.
// With -o json the error is an object on stdout, like every result. An error without a
// text of its own (a failed check, already reported) only sets the code.
func (a *app) exit(err error) int {
	code := diag.ExitCode(err)
	said := audible(err)
	if said == nil {
		return code
	}
	// One object on stdout: where a result is there already, the rest is for people.
	var silent silentError
	if a.output == "json" && !errors.As(err, &silent) {
		a.printJSONError(err, code)
		return code
	}
	err = said
	ui.PrintError(ui.Detect(a.Err, getenv), redacted(err))
	if a.log != "" {
		fmt.Fprintln(a.Err, "log:  ", a.log)
	}
	return code
}

func (a *app) printJSONError(err error, code int) {
	cluster := diag.Cluster(err)
	err = redacted(err)
	hints := diag.Hints(err)
	if hints == nil {
		hints = []string{}
	}
	object := struct {
		header
		Message  string   `json:"message"`
		Cluster  string   `json:"cluster,omitempty"`
		Hints    []string `json:"hints"`
		ExitCode int      `json:"exitCode"`
		Log      string   `json:"log,omitempty"`
	}{newHeader("Error", "", nil), err.Error(), cluster, hints, code, a.log}
	if werr := writeJSON(a.Out, object); werr != nil {
		fmt.Fprintln(a.Err, "error:", err)
	}
}

// redacted is the text and the hints of err with every key and token blotted out: values of
// --set and lines of files find their way into messages.
func redacted(err error) error {
	clean := errors.New(run.Redact(err.Error()))
	for _, hint := range slices.Backward(diag.Hints(err)) {
		clean = diag.Hint(clean, run.Redact(hint))
	}
	return clean
}

// audible is what of an error is not said yet; nil when nothing is.
func audible(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the joined errors themselves are wanted
		var rest []error
		for _, one := range many.Unwrap() {
			rest = append(rest, audible(one))
		}
		return errors.Join(rest...)
	}
	var silent silentError
	if errors.As(err, &silent) {
		return nil
	}
	return err
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
