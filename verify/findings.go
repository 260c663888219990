// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Finding is one thing that is wrong, however many results show it.
type Finding struct {
	// Code of the diagnosis, with a heading in docs/checks.md.
	Code string `json:"code"`
	// Severity is that of the worst result.
	Severity Severity `json:"severity"`
	// Clusters that it is about: of a pair the one that asks first.
	Clusters []string `json:"clusters"`
	// Message of the first result that shows it.
	Message string `json:"message"`
	// Evidence of that result.
	Evidence Evidence `json:"evidence,omitempty"`
	// Checks that show it.
	Checks []string `json:"checks"`
	// Fix is what mends it.
	Fix string `json:"fix"`
	// CausedBy are the findings that bring this one about; none for a cause of its own.
	CausedBy []Cause `json:"causedBy"`
}

// Cause names another finding of the same list.
type Cause struct {
	Code     string   `json:"code"`
	Clusters []string `json:"clusters"`
}

// Findings are what is wrong in a report: results that failed or warned, those with one code and
// the same clusters together, each with the findings that cause it. Causes come first, then errors
// before warnings. It is pure.
func Findings(r *Report) []Finding {
	var all []Finding
	at := map[string]int{} // by code and clusters
	for _, c := range r.Checks {
		severity := map[Status]Severity{Fail: SeverityError, Warn: SeverityWarning}[c.Status]
		if severity == "" || c.Code == "" {
			continue
		}
		clusters := slices.DeleteFunc([]string{c.From, c.To}, func(s string) bool { return s == "" })
		key := strings.Join(append([]string{c.Code}, clusters...), " ")
		i, there := at[key]
		if !there {
			i = len(all)
			at[key] = i
			all = append(all, Finding{Code: c.Code, Severity: severity, Clusters: clusters, Message: c.Message, Evidence: c.Evidence, Fix: codeOf(c.Code).Fix})
		}
		f := &all[i]
		if severity == SeverityError && f.Severity == SeverityWarning {
			f.Severity, f.Message, f.Evidence = severity, c.Message, c.Evidence
		}
		if !slices.Contains(f.Checks, c.ID) {
			f.Checks = append(f.Checks, c.ID)
		}
	}
	addCauses(all)
	slices.SortStableFunc(all, func(a, b Finding) int {
		if d := min(len(a.CausedBy), 1) - min(len(b.CausedBy), 1); d != 0 {
			return d
		}
		return strings.Compare(string(a.Severity), string(b.Severity)) // "error" before "warning"
	})
	return all
}

// addCauses adds to each finding those whose code is declared to bring about its own, and whose
// clusters meet its own: faults in other clusters are others.
func addCauses(all []Finding) {
	by := map[string][]int{} // findings by code
	for i := range all {
		by[all[i].Code] = append(by[all[i].Code], i)
	}
	for i := range all {
		f := &all[i]
		f.CausedBy = []Cause{}
		var causes []int
		for _, code := range codeOf(f.Code).Causes {
			causes = append(causes, by[code]...)
		}
		slices.Sort(causes)
		for _, k := range causes {
			if meet(f.Clusters, all[k].Clusters) {
				f.CausedBy = append(f.CausedBy, Cause{all[k].Code, all[k].Clusters})
			}
		}
	}
}

// meet says whether two findings are about a common cluster; of two pairs, whether they are the
// same. One that names none is about all.
func meet(a, b []string) bool {
	if len(a) == 2 && len(b) == 2 {
		return slices.Equal(a, b)
	}
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(c string) bool { return slices.Contains(b, c) })
}

// Unseen are the results that could not be told, in words: what nobody has looked at may be broken.
func (r *Report) Unseen() []string {
	var unseen []string
	for _, c := range r.Checks {
		if c.Status == Inconclusive && c.ID != CoverageCheck && !slices.Contains(unseen, c.Message) {
			unseen = append(unseen, c.Message)
		}
	}
	return unseen
}
