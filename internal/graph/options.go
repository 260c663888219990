// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"sync"
	"time"
)

// defaultParallel bounds the steps that run at once when Options does not say.
const defaultParallel = 16

// defaultGrace leaves a step time to stop, within the 5 s that Ctrl-C may take.
const defaultGrace = 4 * time.Second

// Options say how to run a list of steps. The zero value is fine.
type Options struct {
	// Parallel is how many steps may run at once; 0 means all that are ready, up to 16.
	Parallel int
	// Observe hears every event, one at a time; it should return soon. May be nil.
	Observe func(Event)
	// Grace is how long a step may take to stop after its context ended, before it is
	// reported as failed while it may still be running; 0 means 4 s.
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	var mu sync.Mutex
	observe := o.Observe
	o.Observe = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		observe(e)
	}
	return o
}
