// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// planLook bounds one Look of a plan: a cluster that does not answer is Unknown soon.
const planLook = time.Minute

// Planned is what Run would do about one step now. It marshals to one entry of a Plan's
// "steps" list.
type Planned struct {
	Step   Step
	Change Change
	// Err is why the Look failed; then the action is Unknown and the reason is its text.
	Err error
}

// MarshalJSON writes the step's ID, cluster, title and needs, and the change.
func (p Planned) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID      string   `json:"id"`
		Cluster string   `json:"cluster,omitempty"`
		Title   string   `json:"title"`
		Needs   []string `json:"needs"`
		Change
	}{p.Step.ID, p.Step.Cluster, p.Step.Title, append([]string{}, p.Step.Needs...), p.Change})
}

// Plan looks at every step and does nothing. The answers are in list order, whatever the
// order of needs: each Look sees the world as it is now. A Look that fails, panics or takes
// longer than a minute is an answer, Unknown. The error is that of Validate, or of a ctx
// that ended before every Look had answered.
func Plan(ctx context.Context, steps []Step, o Options) ([]Planned, error) {
	if err := Validate(steps); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	planned := make([]Planned, len(steps))
	slots := make(chan struct{}, o.Parallel)
	var all sync.WaitGroup
	for i, s := range steps {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			planned[i] = lookOnly(ctx, s, o)
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return planned, interruption(ctx, nil)
	}
	return planned, nil
}

func lookOnly(ctx context.Context, s Step, o Options) Planned {
	bounded := s
	if bounded.Timeout <= 0 || bounded.Timeout > planLook {
		bounded.Timeout = planLook
	}
	a := newAttempt(bounded, o)
	a.tell(Started)
	err := a.guarded(ctx, func(ctx context.Context) error {
		_, err := a.look(ctx)
		return err
	})
	if err != nil {
		return Planned{Step: s, Change: Change{Action: Unknown, Reason: err.Error()}, Err: err}
	}
	return Planned{Step: s, Change: *a.change}
}
