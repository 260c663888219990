// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package page draws a report for people: one HTML page that needs nothing else, and a small
// SVG card. Both are pure functions of the report, whether it comes from a run or from a file,
// and know no list of suites or faults: what a report has is shown.
//
// The page fetches nothing and says so to the browser (a content security policy that allows
// only its own style and script). It can be read without the script, which filters and unpacks.
// It stays under two megabytes: what has no room is packed, see pack, and then left out, and the
// page says so.
package page
