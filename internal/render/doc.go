// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package render owns a folder of files that one topology was rendered into. It knows by an
// index which files are its own: it replaces those, removes the ones that are not rendered any
// more, and refuses to touch anything else. It knows nothing of what is in the files.
package render
