// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"sync"
	"time"
)

// Progress is the state of a build, told whenever it changes.
type Progress struct {
	// Item is being made, or has been when Finished.
	Item string
	// Detail is the last thing that the item's tool said, such as the package being compiled.
	Detail string
	// Done of Total items are complete.
	Done, Total int
	// WeightDone of WeightTotal expected seconds are behind us, as measured cold on two cores.
	WeightDone, WeightTotal float64
	// Cached says that the item was there already.
	Cached bool
	// Finished says that the item is complete, Elapsed how long it took.
	Finished bool
	Elapsed  time.Duration
}

// tracker counts what is done and tells the observer; its methods may be called side by side.
type tracker struct {
	mu      sync.Mutex
	observe func(Progress)
	state   Progress
}

func newTracker(items []artefact, observe func(Progress)) *tracker {
	t := &tracker{observe: observe}
	t.state.Total = len(items)
	for _, a := range items {
		t.state.WeightTotal += a.weight
	}
	return t
}

func (t *tracker) started(a artefact) { t.tell(Progress{Item: a.item}, 0) }

func (t *tracker) detail(a artefact, text string) { t.tell(Progress{Item: a.item, Detail: text}, 0) }

func (t *tracker) finished(a artefact, cached bool, elapsed time.Duration) {
	t.tell(Progress{Item: a.item, Finished: true, Cached: cached, Elapsed: elapsed}, a.weight)
}

func (t *tracker) tell(p Progress, weight float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Finished {
		t.state.Done++
		t.state.WeightDone += weight
	}
	p.Done, p.Total = t.state.Done, t.state.Total
	p.WeightDone, p.WeightTotal = t.state.WeightDone, t.state.WeightTotal
	if t.observe != nil {
		t.observe(p)
	}
}
