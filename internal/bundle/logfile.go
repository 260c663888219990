// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"io"
	"sync"
)

// logFile lets tools that run side by side write to one log.
type logFile struct {
	mu  sync.Mutex
	out io.Writer
}

// Write never fails: a full disk must not hide what is wrong.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil {
		_, _ = l.out.Write(p)
	}
	return len(p), nil
}
