// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package plan is the one place where the steps are listed: Up makes a mesh, Down
// removes it. It joins what install, federation and internal/cluster offer into steps
// with IDs, needs and timeouts, and owns the Mesh that they share.
//
// It refuses to know how anything is done, to print, and to carry facts from step to
// step: what an earlier step made is looked up again.
package plan
