// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

// PrintError writes "error: " and the message once, further lines of it indented, then a
// "hint: " line for each hint. A nil error writes nothing. Text is never wrapped: hints
// hold commands to copy.
func PrintError(w io.Writer, err error) {
	if err == nil {
		return
	}
	out := outputOf(w)
	var b strings.Builder
	labelled(&b, out.paint(red, "error:"), "error: ", err.Error())
	for _, hint := range diag.Hints(err) {
		labelled(&b, out.paint(cyan, "hint:"), "hint: ", hint)
	}
	// The error is already being reported; that its report can't be written changes nothing.
	_, _ = fmt.Fprint(out, b.String())
}

// labelled writes a label and text, the text's further lines below its first.
func labelled(b *strings.Builder, painted, label, text string) {
	text = strings.TrimRight(printable(text), "\n ")
	indent := "\n" + strings.Repeat(" ", len(label))
	fmt.Fprintf(b, "%s %s\n", painted, strings.ReplaceAll(text, "\n", indent))
}
