// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package registryhost serves an image registry and a chart repository on a loopback address
// for tests: content on disk, a login if asked for, and faults by path. It is for tests only.
package registryhost
