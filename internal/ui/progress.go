// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Item is one part of a long piece of work.
type Item struct {
	// Name is unique in its list and shown: "compiling kubelet".
	Name string
	// Expected is how long it usually takes here or on a machine like this; it is the
	// item's weight in the share that is done.
	Expected time.Duration
}

// Progress shows long work that is not a graph, such as building a bundle: on a terminal
// a line for each running item and a bar, elsewhere a line when an item begins and ends.
// The time left is scaled by how fast this machine has been so far. Its methods may be
// called from several goroutines and do not block.
type Progress struct {
	out  *Output
	stop func()

	mu      sync.Mutex // guards what follows
	live    live
	items   []*item
	started time.Time
	now     func() time.Time
	closed  bool
}

// item is an Item and how far it is.
type item struct {
	Item
	state          string
	started, ended time.Time
	skipped        bool
}

// NewProgress begins to show work on items; all of them should be given, for the estimate.
// Close must be called at the end.
func NewProgress(w io.Writer, items []Item) *Progress {
	p := newProgress(outputOf(w), items, time.Now)
	if p.out.Terminal {
		p.stop = every(redrawEvery, p.redraw)
	}
	return p
}

func newProgress(out *Output, items []Item, now func() time.Time) *Progress {
	p := &Progress{out: out, live: live{out: out}, now: now, started: now(), stop: func() {}}
	for _, i := range items {
		p.items = append(p.items, &item{Item: i})
	}
	return p
}

// find returns the item of that name, added when the list did not have it.
func (p *Progress) find(name string) *item {
	at := slices.IndexFunc(p.items, func(i *item) bool { return i.Name == name })
	if at < 0 {
		p.items = append(p.items, &item{Item: Item{Name: name}})
		at = len(p.items) - 1
	}
	return p.items[at]
}

// Start says that work on an item begins.
func (p *Progress) Start(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(name)
	i.started = p.now()
	text := name
	if i.Expected > 0 {
		text += " (usually " + Clock(i.Expected) + ")"
	}
	p.tell(text)
}

// State says what an item is at: "k8s.io/client-go". A terminal shows it; plain output
// leaves it out.
func (p *Progress) State(name, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.find(name).state = fmt.Sprintf(format, args...)
}

// Skip says that an item needs no work, and why: "cached".
func (p *Progress) Skip(name, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(name)
	i.started, i.ended, i.skipped = p.now(), p.now(), true
	p.tell(name + ": " + why)
}

// Done says that an item ended, with its error when it failed.
func (p *Progress) Done(name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(name)
	i.ended = p.now()
	if i.started.IsZero() {
		i.started = i.ended
	}
	took := Duration(i.ended.Sub(i.started))
	if err != nil {
		p.above(p.out.draw(symbolFailed)+" ", fmt.Sprintf("%s failed after %s: %s", name, took, clean(err.Error())))
		return
	}
	p.above(p.out.draw(symbolDone)+" ", fmt.Sprintf("%s in %s", name, took))
}

// Close stops drawing and takes the bar away; what has been done stays on the screen.
// Calling it again does nothing.
func (p *Progress) Close() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.Terminal && !p.closed {
		p.live.draw("", nil)
	}
	p.closed = true
}

// above writes a line that stays: with a symbol on a terminal, else with time and count.
func (p *Progress) above(mark, text string) {
	if p.out.Terminal && !p.closed {
		p.live.draw(mark+p.out.fit(text, p.out.columns()-3), p.frame())
		return
	}
	p.tell(text)
}

// tell writes a plain line; on a terminal it does nothing.
func (p *Progress) tell(text string) {
	if p.out.Terminal {
		return
	}
	done := p.count()
	parts := []string{text}
	if left := p.left(); left > 0 {
		parts = append(parts, About(left)+" left")
	}
	at := padLeft(Duration(p.now().Sub(p.started)), 6)
	count := padLeft(fmt.Sprintf("%d/%d", done, len(p.items)), 2*len(fmt.Sprint(len(p.items)))+1)
	// Progress that can't be written must not stop the work.
	_, _ = fmt.Fprintf(p.out, "[%s] %s  %s\n", at, count, strings.Join(parts, "; "))
}

func (p *Progress) redraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live.draw("", p.frame())
}
