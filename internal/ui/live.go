// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// redrawEvery is how often a live area is drawn again while nothing happens.
const redrawEvery = 200 * time.Millisecond

// live is a few lines at the bottom of a terminal that are drawn over in place. Its
// methods must be called one at a time.
type live struct {
	out   *Output
	shown int // lines on the screen
}

// draw replaces the lines on the screen by new ones, with text that stays above them.
// It writes once, so that nothing flickers.
func (l *live) draw(above string, lines []string) {
	var b strings.Builder
	if l.shown > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", l.shown)
	}
	for _, line := range append(splitLines(above), lines...) {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	l.shown = len(lines)
	// Progress that can't be written must not stop the work.
	_, _ = l.out.Write([]byte(b.String()))
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// every calls f at the redraw interval until the returned function is called, which
// returns after the last call ended. Calling it again is fine.
func every(f func()) (stop func()) {
	quit := make(chan struct{})
	var once sync.Once
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(redrawEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f()
			case <-quit:
				return
			}
		}
	})
	return func() {
		once.Do(func() { close(quit) })
		running.Wait()
	}
}

// spinner is the symbol of work under way.
func (o *Output) spinner(now time.Time) string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	if o.ASCII {
		frames = []rune(`|/-\`)
	}
	at := now.UnixMilli() / redrawEvery.Milliseconds() % int64(len(frames))
	return o.paint(cyan, string(frames[at]))
}
