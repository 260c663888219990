// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package deptest keeps the house in order, for tests alone: who may import whom, and the
// habits that a compiler does not see.
//
// It owns the rules of docs/architecture.md as a table (Rules) and the reading of the
// source tree. It parses and never builds, so it is fast and works on a tree that does not
// compile. It refuses to be imported by anything but tests.
package deptest
