// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package golden compares what tests got with files that are kept beside them, and writes these
// anew with -update. It is for tests, which say what belongs into a file.
package golden
