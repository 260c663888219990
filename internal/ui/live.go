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
const redrawEvery = 125 * time.Millisecond

// live is a few lines at the bottom of a terminal that are drawn over in place. Its
// methods must be called one at a time.
type live struct {
	out     *Output
	shown   []string // lines on the screen
	columns int      // width of the screen when they were drawn
}

// The cursor is hidden only within one write: wherever the program ends, it is there.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
)

// draw replaces the lines on the screen by new ones, with text that stays above them.
// It writes once and only what differs, so that nothing flickers.
func (l *live) draw(above string, lines []string) {
	columns := l.out.columns()
	kept := splitLines(above)
	for i := range lines {
		lines[i] = l.out.encoded(lines[i])
	}
	var b strings.Builder
	if len(kept) > 0 || columns != l.columns || len(lines) != len(l.shown) {
		l.whole(&b, kept, lines, columns)
	} else {
		l.differing(&b, lines)
	}
	l.shown, l.columns = lines, columns
	if b.Len() == 0 {
		return
	}
	// Progress that can't be written must not stop the work.
	_, _ = l.out.Write([]byte(hideCursor + b.String() + showCursor))
}

// whole draws every line again.
func (l *live) whole(b *strings.Builder, kept, lines []string, columns int) {
	if up := l.height(columns); up > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA", up)
	}
	for _, line := range kept {
		b.WriteString(l.out.encoded(line) + "\x1b[K\n")
	}
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
}

// differing draws the lines that changed and leaves the cursor below the last one.
func (l *live) differing(b *strings.Builder, lines []string) {
	at := len(lines) // the line on which the cursor is
	for i, line := range lines {
		if line == l.shown[i] {
			continue
		}
		b.WriteString("\r" + move(at, i) + line + "\x1b[K")
		at = i
	}
	if at < len(lines) {
		// What was typed meanwhile, such as ^C, stands below the last line.
		b.WriteString("\r" + move(at, len(lines)) + "\x1b[J")
	}
}

// forget makes the next drawing a whole one.
func (l *live) forget() { l.columns = 0 }

// move is the sequence that goes from one line to another.
func move(from, to int) string {
	switch {
	case to < from:
		return fmt.Sprintf("\x1b[%dA", from-to)
	case to > from:
		return fmt.Sprintf("\x1b[%dB", to-from)
	}
	return ""
}

// height is how many rows the lines on the screen take now: terminals break lines that
// have become too long for a narrower window.
func (l *live) height(columns int) int {
	rows := 0
	for _, line := range l.shown {
		rows += max(1, (cells(printable(line))+columns-1)/columns)
	}
	return rows
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// every calls f at an interval until the returned function is called, which returns after
// the last call ended. Calling it again is fine.
func every(interval time.Duration, f func()) (stop func()) {
	quit := make(chan struct{})
	var once sync.Once
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(interval)
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
