// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package page

import "github.com/meshfed/meshfed/verify"

// status is how something ended, as it is drawn: colour is never the only sign of it.
type status struct {
	// Name is the report's word and the style's class.
	Name string
	// Mark is one character, never drawn as an emoji.
	Mark string
	// Word is for people: "passed".
	Word string
}

// statuses in the order in which a reader wants them.
func statuses() []status {
	return []status{
		{string(verify.Fail), "✘", "failed"},
		{string(verify.Inconclusive), "?", "inconclusive"},
		{string(verify.Warn), "!", "warned"},
		{string(verify.Pass), "✔", "passed"},
		{string(verify.Skip), "–", "skipped"},
	}
}

// of is how a status is drawn; one that is not known is shown by its own name.
func of(s verify.Status) status {
	for _, known := range statuses() {
		if known.Name == string(s) {
			return known
		}
	}
	return status{Name: string(s), Mark: "·", Word: string(s)}
}

func verdictOf(r *verify.Report) status {
	return of(map[int]verify.Status{verify.ExitPass: verify.Pass, verify.ExitFail: verify.Fail, verify.ExitInconclusive: verify.Inconclusive}[r.ExitCode()])
}

func countsOf(r *verify.Report) []count {
	var all []count
	for _, s := range statuses() {
		if n := r.Summary[verify.Status(s.Name)]; n > 0 || s.Name == string(verify.Pass) {
			all = append(all, count{s, n})
		}
	}
	return all
}
