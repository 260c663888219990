// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version

import "strings"

// Number is the release that this source tree is on the way to.
const Number = "0.1.0-dev"

// commit and date are set by the linker (see the Makefile); a plain `go build` has none.
var (
	commit string
	date   string
)

// Info is what `meshfed version -o json` prints.
type Info struct {
	// Version is the release number.
	Version string `json:"version"`
	// Commit is the source revision, empty when unknown.
	Commit string `json:"commit,omitempty"`
	// Date is the revision's commit date, RFC 3339, empty when unknown.
	Date string `json:"date,omitempty"`
	// Istio is the release whose charts are built in.
	Istio string `json:"istio,omitempty"`
}

// Get returns what this build is.
func Get() Info { return Info{Version: Number, Commit: commit, Date: date} }

// String is "meshfed <number> (<commit>, <date>)", without what is unknown.
func (i Info) String() string {
	var parts []string
	for _, p := range []string{i.Commit, i.Date} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return "meshfed " + i.Version
	}
	return "meshfed " + i.Version + " (" + strings.Join(parts, ", ") + ")"
}
