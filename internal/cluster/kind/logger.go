// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"sigs.k8s.io/kind/pkg/log"

	"github.com/meshfed/meshfed/internal/run"
)

// logger is kind's logger in the child: what begins a step goes to states, all else to log.
type logger struct {
	mu          sync.Mutex
	states, log io.Writer
}

var (
	_ log.Logger     = (*logger)(nil)
	_ log.InfoLogger = (*logger)(nil)
)

// Warn writes to the log: kind's warnings are about what this program does on purpose.
func (l *logger) Warn(message string) { l.write(message) }

// Warnf is Warn, formatted.
func (l *logger) Warnf(format string, args ...any) { l.write(fmt.Sprintf(format, args...)) }

// Error writes to the log.
func (l *logger) Error(message string) { l.write(message) }

// Errorf is Error, formatted.
func (l *logger) Errorf(format string, args ...any) { l.write(fmt.Sprintf(format, args...)) }

// V enables every level: the parent keeps a debug log.
func (l *logger) V(log.Level) log.InfoLogger { return l }

// Enabled is always true.
func (l *logger) Enabled() bool { return true }

// Infof is Info, formatted.
func (l *logger) Infof(format string, args ...any) { l.Info(fmt.Sprintf(format, args...)) }

// Info passes on what begins a step of kind as a state and writes the rest to the log.
func (l *logger) Info(message string) {
	if state, ok := stateOf(message); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		// A parent that no longer reads is about to end this process.
		_, _ = fmt.Fprintln(l.states, state)
		return
	}
	l.write(message)
}

func (l *logger) write(message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.log, strings.TrimRight(run.Redact(message), "\n")+"\n")
}

// stateOf turns " • Preparing nodes 📦  ..." into "preparing nodes".
func stateOf(message string) (string, bool) {
	text, ok := strings.CutPrefix(strings.TrimSpace(message), "• ")
	if !ok {
		return "", false
	}
	text = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return -1
		}
		return r
	}, strings.TrimSuffix(text, "..."))
	text = strings.TrimSpace(text)
	if text == "" {
		return "", false
	}
	return strings.ToLower(text[:1]) + text[1:], true
}
