// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package charts finds the Helm charts that are not compiled into the program: in a chart
// repository (OCI or HTTP), in a folder, or in the cache of what was fetched before. It owns the
// cache, the checks of name, version and digest, and what a repository's failures mean.
//
// It refuses to render or install a chart (package install), and to keep one that is not what
// was asked for.
package charts
