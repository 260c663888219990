// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"slices"
	"time"
)

// Run brings every step to the state in which its Look finds nothing to do.
//
// It blocks until no step is running any more. Steps whose needs are done run side by
// side, as many as the options allow, in list order when there are more. A failure blocks
// what depends on it and nothing else. When ctx ends no new step starts; the running
// ones are waited for, up to the grace. It is as idempotent as the steps are.
func Run(ctx context.Context, steps []Step, o Options) Result {
	started := time.Now()
	if err := Validate(steps); err != nil {
		return Result{Started: started, err: err}
	}
	r := newRunner(steps, o.withDefaults())
	r.run(ctx)
	result := Result{Outcomes: r.outcomes, Started: started, Duration: time.Since(started)}
	if stopped := result.Interrupted(); len(stopped) > 0 {
		result.err = interruption(ctx, stopped)
	}
	return result
}

// runner is the state of one run. Only the goroutine of Run touches it.
type runner struct {
	steps    []Step
	options  Options
	index    map[string]int
	started  []bool
	outcomes []Outcome // an empty status: not settled yet
	running  int
	settled  int
	answers  chan answer
}

type answer struct {
	index   int
	outcome Outcome
	state   string
}

func newRunner(steps []Step, o Options) *runner {
	r := &runner{
		steps: steps, options: o, index: make(map[string]int, len(steps)),
		started: make([]bool, len(steps)), outcomes: make([]Outcome, len(steps)),
		answers: make(chan answer),
	}
	for i, s := range steps {
		r.index[s.ID] = i
	}
	return r
}

func (r *runner) run(ctx context.Context) {
	for r.settled < len(r.steps) {
		for r.advance(ctx) {
			// Settling one step may settle others that come earlier in the list.
		}
		if r.running > 0 {
			a := <-r.answers
			r.running--
			r.settle(a.index, a.outcome, a.state)
		}
	}
}

// advance goes over the list once, starting what can start and settling what never will.
// It reports whether it settled anything.
func (r *runner) advance(ctx context.Context) bool {
	settled := false
	for i, s := range r.steps {
		if r.started[i] || r.outcomes[i].Status != "" {
			continue
		}
		roots, stopped, ready := r.needs(s)
		switch {
		case !ready:
		case len(roots) > 0:
			r.settle(i, Outcome{Step: s, Status: Blocked, BlockedBy: roots}, "")
			settled = true
		case stopped || ctx.Err() != nil:
			r.settle(i, Outcome{Step: s, Status: Interrupted}, "")
			settled = true
		case r.running < r.options.Parallel:
			r.start(ctx, i)
		}
	}
	return settled
}

// needs says of a step's needs: which failures are below them, whether one was
// interrupted, and whether all are settled.
func (r *runner) needs(s Step) (roots []string, stopped, ready bool) {
	for _, need := range s.Needs {
		o := r.outcomes[r.index[need]]
		switch o.Status {
		case "":
			return nil, false, false
		case Failed:
			roots = append(roots, need)
		case Blocked:
			roots = append(roots, o.BlockedBy...)
		case Interrupted:
			stopped = true
		}
	}
	slices.SortFunc(roots, func(a, b string) int { return r.index[a] - r.index[b] })
	return slices.Compact(roots), stopped, true
}

func (r *runner) start(ctx context.Context, i int) {
	r.started[i] = true
	r.running++
	go func() {
		a := newAttempt(r.steps[i], r.options)
		outcome := a.run(ctx)
		r.answers <- answer{index: i, outcome: outcome, state: a.state}
	}()
}

// settle records how a step ended and tells it.
func (r *runner) settle(i int, o Outcome, state string) {
	r.outcomes[i] = o
	r.settled++
	e := Event{
		Time: time.Now(), Kind: EventKind(o.Status), Step: o.Step.ID, Cluster: o.Step.Cluster, Title: o.Step.Title,
		State: state, Duration: o.Duration, Expected: o.Step.Expected, Err: o.Err, BlockedBy: o.BlockedBy,
	}
	if o.Change.Action != "" {
		change := o.Change
		e.Change = &change
	}
	r.options.Observe(e)
}
