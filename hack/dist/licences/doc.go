// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package licences owns under which terms linked modules come: it finds their licence files,
// tells by the text what they are, and refuses what a release may not hold. It refuses to
// guess: a module without a licence, or with one that is not on the list, fails.
package licences
