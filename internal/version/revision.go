// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"regexp"
	"runtime/debug"
	"time"
)

// shortCommit is how many digits of a commit are shown, as many as pseudo-versions have.
const shortCommit = 12

// revision is where the source came from, as far as the compiler knows; empty otherwise.
type revision struct{ number, commit, date string }

// revisionOf tells two ways of building apart. `go install module@version` takes the module
// from a proxy: it has a checksum and a version, and a pseudo-version names its commit. A
// checkout has no checksum, and says its revision unless it was built without asking git.
func revisionOf(build *debug.BuildInfo) revision {
	var r revision
	if build.Main.Sum != "" {
		r.number = build.Main.Version
		r.date, r.commit = pseudo(build.Main.Version)
		return r
	}
	changed := false
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			r.commit = s.Value[:min(shortCommit, len(s.Value))]
		case "vcs.time":
			r.date = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed && r.commit != "" {
		r.commit += "-dirty"
	}
	return r
}

// pseudo returns the commit date and commit that a pseudo-version such as
// v0.0.0-20260827124520-eed52ebb66ad names; empty for any other version.
func pseudo(version string) (date, commit string) {
	m := regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(?:\+incompatible)?$`).FindStringSubmatch(version)
	if m == nil {
		return "", ""
	}
	if t, err := time.Parse("20060102150405", m[1]); err == nil {
		date = t.Format(time.RFC3339)
	}
	return date, m[2]
}
