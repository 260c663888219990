// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package schema makes JSON schemas of Go types: structure from the types, descriptions from the
// comments of their fields. It reads source code, so it is for tests, which also say whether a
// schema that was published is still that of its types; programs embed what it made.
package schema
