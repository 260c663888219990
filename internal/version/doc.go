// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package version owns what this build calls itself. It refuses to know anything else,
// so that every package may import it.
package version
