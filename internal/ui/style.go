// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

// style is an ANSI SGR parameter: bold, faint, or one of those basic colours that can be
// read on dark and on light backgrounds alike. Yellow, white and black can not.
type style string

const (
	none  style = ""
	bold  style = "1"
	faint style = "2"
	red   style = "31"
	green style = "32"
	cyan  style = "36"
)

// paint colours text when the output takes colours.
func (o *Output) paint(s style, text string) string {
	if !o.Color || s == none || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// symbol is a character with its ASCII form and its colour.
type symbol struct {
	unicode, ascii string
	style          style
}

var (
	symbolDone    = symbol{"✔", "+", green}
	symbolFailed  = symbol{"✘", "x", red}
	symbolStopped = symbol{"■", "!", bold}
	symbolBlocked = symbol{"-", "-", red}
	symbolWaiting = symbol{"·", ".", faint}
	symbolDot     = symbol{" · ", " - ", faint}
	symbolMore    = symbol{"…", "...", none}
	symbolArrow   = symbol{"→", "->", none}
)

// text is the bare symbol, without colour.
func (o *Output) text(s symbol) string {
	if o.ASCII {
		return s.ascii
	}
	return s.unicode
}

// draw is the coloured symbol.
func (o *Output) draw(s symbol) string { return o.paint(s.style, o.text(s)) }
