// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"sync"
)

// holdLimit bounds what a Redactor holds back while it waits for a line or a key to end.
const holdLimit = 256 << 10

var (
	keyBegin = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----`)
	keyEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY-----`)
	literal  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	field    = regexp.MustCompile(`(?i)^` + fields + `$`)
)

// Redactor writes redacted text, by whole lines and whole keys: what is split over several
// writes is recognised. It is safe for concurrent use.
type Redactor struct {
	mu   sync.Mutex
	w    io.Writer
	held []byte
}

// NewRedactor returns a writer that redacts and passes on to w. Close it to get the rest.
func NewRedactor(w io.Writer) *Redactor { return &Redactor{w: w} }

// Write takes p and passes on the lines that are complete.
func (r *Redactor) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, p...)
	end := bytes.LastIndexByte(r.held, '\n') + 1
	// From the last key that does not end in a complete line, everything waits.
	if all := keyBegin.FindAllIndex(r.held, -1); len(all) > 0 {
		last := all[len(all)-1]
		ended := keyEnd.FindIndex(r.held[last[1]:])
		if ended == nil || last[1]+ended[1] > end {
			end = min(end, bytes.LastIndexByte(r.held[:last[0]], '\n')+1)
		}
	}
	if len(r.held) > holdLimit {
		end = len(r.held)
	}
	return len(p), r.pass(end)
}

// Close passes on what is held back. It does not close the writer underneath.
func (r *Redactor) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pass(len(r.held))
}

func (r *Redactor) pass(end int) error {
	if end == 0 {
		return nil
	}
	_, err := io.WriteString(r.w, Redact(string(r.held[:end])))
	r.held = append(r.held[:0], r.held[end:]...)
	return err
}

// RedactJSON redacts the strings of valid JSON, which stays valid and keeps its order.
func RedactJSON(data []byte) []byte {
	var out []byte
	key, at := "", 0
	for _, m := range literal.FindAllIndex(data, -1) {
		var s string
		if json.Unmarshal(data[m[0]:m[1]], &s) != nil {
			continue
		}
		if rest := bytes.TrimLeft(data[m[1]:], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
			key = s
			continue
		}
		clean := Redact(s)
		if field.MatchString(key) && s != "" {
			clean = blot
		}
		key = ""
		if clean == s {
			continue
		}
		quoted, err := json.Marshal(clean)
		if err != nil {
			continue
		}
		out = append(append(out, data[at:m[0]]...), quoted...)
		at = m[1]
	}
	return append(out, data[at:]...)
}
