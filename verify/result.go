// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
)

// Status is the outcome of a check.
type Status string

// The outcomes. Inconclusive means that it could not be looked at or that too little was
// seen to tell; it is never a pass.
const (
	Pass         Status = "pass"
	Warn         Status = "warn"
	Fail         Status = "fail"
	Inconclusive Status = "inconclusive"
	Skip         Status = "skip"
)

// worst orders statuses for a cell of the matrix, the worst first.
func worst() []Status { return []Status{Fail, Inconclusive, Warn, Pass, Skip} }

// Evidence is what a result saw (addresses, counts, fingerprints, times) and, under "see",
// how to see it again. It holds no secret.
type Evidence map[string]any

// Result is one judgement. ID, From, To and Variant together are unique in a report.
type Result struct {
	// ID of the check, with a heading in docs/checks.md.
	ID string `json:"id"`
	// Suite that the check belongs to.
	Suite string `json:"suite"`
	// From is the cluster of the caller; absent for a check of one cluster as callers see it.
	From string `json:"from,omitempty"`
	// To is the cluster that is called; absent for a check of one cluster as a caller.
	To string `json:"to,omitempty"`
	// Variant tells results of one check and pair apart.
	Variant string `json:"variant,omitempty"`
	// Status of the judgement.
	Status Status `json:"status"`
	// NotApplicable marks a skip because the suite's question does not arise here: a pair of
	// which nothing else is said is then not covered, and not inconclusive for that.
	NotApplicable bool `json:"notApplicable,omitempty"`
	// Message is one sentence.
	Message string `json:"message"`
	// Code is a diagnosis, with a heading in docs/checks.md; empty for a pass.
	Code string `json:"code,omitempty"`
	// Evidence of the judgement.
	Evidence Evidence `json:"evidence,omitempty"`
	// DurationSeconds of the observations that it rests on.
	DurationSeconds float64 `json:"durationSeconds"`
}

// concerns says whether the result says something about requests from one cluster to
// another.
func (r Result) concerns(from, to string) bool {
	switch {
	case r.From != "" && r.To != "":
		return r.From == from && r.To == to
	case r.From != "":
		return r.From == from
	case r.To != "":
		return r.To == to
	}
	return true
}

// verdict builds a result; the check's own fields are filled in by Check.run.
func verdict(status Status, code, format string, args ...any) Result {
	return Result{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func pass(format string, args ...any) Result { return verdict(Pass, "", format, args...) }

func skip(format string, args ...any) Result { return verdict(Skip, "", format, args...) }

// moot is a skip where the suite's question does not arise, by the topology or by what was seen.
func moot(format string, args ...any) Result {
	r := skip(format, args...)
	r.NotApplicable = true
	return r
}

func unsure(format string, args ...any) Result { return verdict(Inconclusive, "", format, args...) }

func fail(code, format string, args ...any) Result { return verdict(Fail, code, format, args...) }

func warn(code, format string, args ...any) Result { return verdict(Warn, code, format, args...) }

// with adds evidence.
func (r Result) with(key string, value any) Result {
	e := Evidence{}
	for k, v := range r.Evidence {
		e[k] = v
	}
	e[key] = value
	r.Evidence = e
	return r
}

// between says which clusters and which variant the result is about.
func (r Result) between(from, to string, variant ...string) Result {
	r.From, r.To = from, to
	if i := slices.IndexFunc(variant, func(s string) bool { return s != "" }); i >= 0 {
		r.Variant = variant[i]
	}
	return r
}
