// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"io"
	"sync"
)

// locked is a writer that several write to in turn.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

// Write passes p on whole.
func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// Close does nothing: the stream belongs to the program.
func (l *locked) Close() error { return nil }

// lineLimit is how much of a line without an end is held back, in bytes.
const lineLimit = 64 << 10

// prefixed writes each line with a prefix, and never a part of one: what is between writes of
// several such writers stays readable.
type prefixed struct {
	to     locked
	prefix string
	held   []byte
}

// Write takes p and passes on the lines that are complete.
func (p *prefixed) Write(data []byte) (int, error) {
	p.held = append(p.held, data...)
	var out []byte
	for {
		line, rest, found := bytes.Cut(p.held, []byte("\n"))
		if !found && len(p.held) < lineLimit {
			break
		}
		out = append(append(append(out, p.prefix...), line...), '\n')
		p.held = rest
	}
	if len(out) == 0 {
		return len(data), nil
	}
	if _, err := p.to.Write(out); err != nil {
		return 0, err
	}
	return len(data), nil
}

// Close passes on a last line that has no end.
func (p *prefixed) Close() error {
	if len(p.held) == 0 {
		return nil
	}
	_, err := p.Write([]byte("\n"))
	return err
}

// endLimit is what an ending keeps, in bytes.
const endLimit = 1 << 20

// ending keeps the end of what is written to it.
type ending struct {
	data []byte
	cut  bool
}

// Write keeps p, and of what was before as much as there is room for.
func (e *ending) Write(p []byte) (int, error) {
	e.data = append(e.data, p...)
	if over := len(e.data) - endLimit; over > 0 {
		e.data = append(e.data[:0], e.data[over:]...)
		e.cut = true
	}
	return len(p), nil
}

// Close does nothing.
func (e *ending) Close() error { return nil }
