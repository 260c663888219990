// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Package ui owns how things look: progress on a terminal, as plain lines and as JSON
// lines, tables, plans, the matrix, errors, sizes and durations.
//
// Everything writes to an io.Writer. Given an Output from Detect, it uses the terminal's
// width, colours and symbols; given any other writer it writes plain text for 80 columns.
// Progress views are observers of graph.Event: they never ask, they are told.
//
// Colour never carries meaning alone: each coloured thing has a symbol or a word, so the
// same text serves without colour, and there is a form without symbols for terminals that
// are not UTF-8. Only the sixteen basic colours are used; they follow the user's theme,
// light or dark. Control characters in text from elsewhere never reach the terminal.
//
// The package decides nothing: not what is printed to which stream, not exit codes.
package ui
