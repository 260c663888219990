// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package diag gives errors what a person needs next to the message: a hint that names a
// command or a line of a file, the cluster and the operation, and the exit code.
//
// It owns the exit codes and how they are derived from an error. It prints nothing: the
// command line renders errors in one place. It knows no other package of the project, so
// every package may import it.
package diag
