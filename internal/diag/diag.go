// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// hinted is an error with advice; its message is that of the error it wraps.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// Hint attaches advice to err: a command to run or a line to change. The message of the
// error does not change. A nil error stays nil and an empty hint adds nothing.
func Hint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &hinted{err: err, hint: hint}
}

// Hints returns every hint in the tree of err, outermost first, each text once.
func Hints(err error) []string {
	var hints []string
	walk(err, func(e error) bool {
		if h, ok := e.(*hinted); ok && !slices.Contains(hints, h.hint) {
			hints = append(hints, h.hint)
		}
		return false
	})
	return hints
}

// op is an error that knows where it happened and what was being done.
type op struct {
	err                error
	cluster, operation string
}

func (o *op) Error() string {
	text := o.err.Error()
	if o.operation != "" {
		text = o.operation + ": " + text
	}
	if o.cluster != "" {
		text = o.cluster + ": " + text
	}
	return text
}

func (o *op) Unwrap() error { return o.err }

// Clip keeps the beginning of text of unknown length, most bytes at most, and says with three dots
// that there is more. It cuts between characters: half of one makes the rest of a line unreadable
// where it is shown, and JSON that holds it is not what was written.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && most-end < utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}

// Op wraps err with the cluster that it concerns and the operation that was under way, in
// the gerund: Op(err, "east", "installing istiod") reads "east: installing istiod: ...".
// Cluster or operation may be empty. A nil error stays nil.
func Op(err error, cluster, operation string) error {
	if err == nil || (cluster == "" && operation == "") {
		return err
	}
	return &op{err: err, cluster: cluster, operation: operation}
}

// Cluster returns the cluster that err concerns, the outermost one that Op named, or "".
func Cluster(err error) string {
	var found string
	walk(err, func(e error) bool {
		if o, ok := e.(*op); ok {
			found = o.cluster
		}
		return found != ""
	})
	return found
}

// walk visits the tree of err, outermost first and joined errors in order, until visit
// says true. errors.As can not serve here: it stops at the first match of a type.
func walk(err error, visit func(error) bool) bool {
	for err != nil {
		if visit(err) {
			return true
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			return slices.ContainsFunc(many.Unwrap(), func(e error) bool { return walk(e, visit) })
		}
		err = errors.Unwrap(err)
	}
	return false
}
