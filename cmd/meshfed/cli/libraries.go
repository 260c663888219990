// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"sync"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/run"
)

// Libraries is where libraries write what they would write to stderr, where nothing but this
// program's own words belong: to the log of a run, to stderr with -v, else nowhere. It is safe for
// concurrent use, and nil takes nothing.
type Libraries struct {
	mu sync.Mutex
	to []io.Writer
}

// CatchLibraries has all libraries write there. Their loggers are the process's: main calls it, once,
// before Run.
func CatchLibraries() *Libraries {
	l := &Libraries{}
	kube.LogTo(l)
	return l
}

// Write implements io.Writer. It never fails: nobody could be told.
func (l *Libraries) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.to {
		_, _ = io.WriteString(w, run.Redact(string(p)))
	}
	return len(p), nil
}

// also adds a place to write to.
func (l *Libraries) also(w io.Writer) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = append(l.to, w)
}
