// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package clustertest owns a fake container engine for tests of packages that drive one. It
// answers from a list and records what it was asked; it refuses to imitate an engine's state.
package clustertest
