// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/graph"
)

// world is what fake steps work on: which of them are done, and what was started when.
type world struct {
	mu   sync.Mutex
	done map[string]bool
	log  []string // "start x", "end x", in order
}

func newWorld(done ...string) *world {
	w := &world{done: map[string]bool{}}
	for _, id := range done {
		w.done[id] = true
	}
	return w
}

func (w *world) note(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, line)
}

func (w *world) position(line string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Index(w.log, line)
}

func (w *world) isDone(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done[id]
}

// step makes a step that takes a second and works.
func (w *world) step(id string, needs ...string) graph.Step {
	return graph.Step{
		ID: id, Title: "title of " + id, Needs: needs,
		Look: func(context.Context) (graph.Change, error) {
			if w.isDone(id) {
				return graph.Change{Action: graph.None}, nil
			}
			return graph.Change{Action: graph.Create, Reason: id + " is not there"}, nil
		},
		Do: func(ctx context.Context, _ graph.Change) error {
			w.note("start " + id)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
			w.mu.Lock()
			w.done[id] = true
			w.mu.Unlock()
			w.note("end " + id)
			return nil
		},
	}
}

// doing replaces a step's Do.
func doing(s graph.Step, do func(context.Context) error) graph.Step {
	s.Do = func(ctx context.Context, _ graph.Change) error { return do(ctx) }
	return s
}

// statuses says of each step how it ended.
func statuses(r graph.Result) map[string]graph.Status {
	out := map[string]graph.Status{}
	for _, o := range r.Outcomes {
		out[o.Step.ID] = o.Status
	}
	return out
}

// recorder collects events; Run calls it one at a time.
type recorder struct{ events []graph.Event }

func (r *recorder) observe(e graph.Event) { r.events = append(r.events, e) }

func (r *recorder) of(step string) []graph.EventKind {
	var out []graph.EventKind
	for _, e := range r.events {
		if e.Step == step {
			out = append(out, e.Kind)
		}
	}
	return out
}
