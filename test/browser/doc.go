// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package browser holds the tests of the HTML page and the SVG card of a report in a real
// browser: Chromium without a window, over the DevTools protocol. MESHFED_CHROMIUM names the
// program, and then it must be there, as in `make test`; without it the tests are skipped where
// there is no Chromium. Its pictures of the page are those of docs/reports.
package browser
