// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package cli owns the command line: one file for each verb, flags, exit codes, and the
// one place where errors are printed. It refuses to decide anything: what is to be done
// is in internal/plan, what is true is in verify.
package cli
