// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"io"
	"strings"
	"sync"
)

const (
	// outputLimit is what an Error keeps of the output, in bytes.
	outputLimit = 64 << 10
	// slack is kept in front of it until redaction is done, so that a key or a token whose
	// beginning would be cut off is still recognised.
	slack = 16 << 10
)

// tail keeps the end of what is written to its sinks.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

// sink passes on what it keeps. The sinks of one tail take turns, so that stdout and
// stderr may go to one writer that knows no lock.
type sink struct {
	*tail
	w io.Writer
}

// besides is a writer that keeps and passes on to w, unless w is nil.
func (t *tail) besides(w io.Writer) io.Writer { return &sink{tail: t, w: w} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(p)
	if s.w == nil {
		return len(p), nil
	}
	return s.w.Write(p)
}

func (t *tail) keep(p []byte) {
	t.buf = append(t.buf, p...)
	// Twice the size before anything is moved, so that small writes stay cheap.
	if len(t.buf) > 2*(outputLimit+slack) {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-outputLimit-slack:]...)
		t.cut = true
	}
}

func (t *tail) redacted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Redact(string(t.buf))
	if len(s) <= outputLimit && !t.cut {
		return s
	}
	s = s[max(0, len(s)-outputLimit):]
	// Begin with a whole line where there is one.
	if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
		s = s[i+1:]
	}
	return "[...]\n" + s
}
