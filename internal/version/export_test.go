// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version

import "runtime/debug"

// Describe is Get with what the linker and the compiler would have said.
func Describe(number, commit, date, probeDigest string, build *debug.BuildInfo) Info {
	return describe(linked{number, commit, date, probeDigest}, build)
}
