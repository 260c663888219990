// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
)

func TestRunTwiceIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		steps := []graph.Step{w.step("istio@west", "cluster@west"), w.step("cluster@west"), w.step("cluster@east")}
		var rec recorder
		first := graph.Run(t.Context(), steps, graph.Options{Observe: rec.observe})
		if err := first.Err(); err != nil || !first.Changed() {
			t.Fatalf("first run: error %v, changed %v", err, first.Changed())
		}
		if first.Duration != 2*time.Second {
			t.Errorf("took %v, want 2s: the clusters side by side, then istio", first.Duration)
		}
		if got := first.Outcomes[0].Step.ID; got != "istio@west" {
			t.Errorf("first outcome is %q, want list order", got)
		}
		want := []graph.EventKind{graph.Started, graph.Looked, graph.StepChanged}
		if d := cmp.Diff(want, rec.of("istio@west")); d != "" {
			t.Error(d)
		}
		second := graph.Run(t.Context(), steps, graph.Options{})
		if second.Err() != nil || second.Changed() || second.Duration != 0 {
			t.Errorf("second run: error %v, changed %v, took %v", second.Err(), second.Changed(), second.Duration)
		}
	})
}

func TestRunGoesOnBesideAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		boom := errors.New("no space left on device")
		steps := []graph.Step{
			w.step("network"),
			doing(w.step("cluster@west", "network"), func(context.Context) error { return boom }),
			w.step("cluster@east", "network"),
			w.step("istio@west", "cluster@west"),
			w.step("istio@east", "cluster@east"),
			w.step("secret@west:east", "istio@west", "istio@east"),
		}
		var rec recorder
		r := graph.Run(t.Context(), steps, graph.Options{Observe: rec.observe})
		want := map[string]graph.Status{
			"network": graph.Changed, "cluster@west": graph.Failed, "cluster@east": graph.Changed,
			"istio@west": graph.Blocked, "istio@east": graph.Changed, "secret@west:east": graph.Blocked,
		}
		if d := cmp.Diff(want, statuses(r)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"cluster@west"}, r.Blocked()[1].BlockedBy); d != "" {
			t.Errorf("blocked by the wrong steps: %s", d)
		}
		if d := cmp.Diff([]graph.EventKind{graph.StepBlocked}, rec.of("secret@west:east")); d != "" {
			t.Error(d)
		}
		err := r.Err()
		if !errors.Is(err, boom) || err.Error() != "cluster@west: creating: no space left on device" {
			t.Errorf("error: %v", err)
		}
		var step *graph.StepError
		if !errors.As(err, &step) || step.Step != "cluster@west" {
			t.Errorf("no StepError in %v", err)
		}
	})
}

func TestBlockedByAllRoots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		slow := func(d time.Duration) func(context.Context) error {
			return func(context.Context) error { time.Sleep(d); return errors.New("broken") }
		}
		steps := []graph.Step{
			w.step("d", "c", "b", "a"), w.step("c", "b"),
			doing(w.step("b"), slow(time.Minute)), doing(w.step("a"), slow(time.Second)),
		}
		r := graph.Run(t.Context(), steps, graph.Options{})
		if d := cmp.Diff([]string{"b", "a"}, r.Outcomes[0].BlockedBy); d != "" {
			t.Errorf("want both root failures in list order: %s", d)
		}
		if got := strings.Count(r.Err().Error(), "broken"); got != 2 {
			t.Errorf("error names %d failures, want 2: %v", got, r.Err())
		}
	})
}

func TestFailuresOfOneStep(t *testing.T) {
	t.Parallel()
	w := newWorld()
	tests := map[string]struct {
		step graph.Step
		want string
	}{
		"look fails": {
			step: graph.Step{ID: "a", Look: func(context.Context) (graph.Change, error) {
				return graph.Change{}, errors.New("connection refused")
			}, Do: w.step("a").Do},
			want: "a: looking: connection refused",
		},
		"do panics": {
			step: doing(w.step("a"), func(context.Context) error { panic("nil map") }),
			want: "a: creating: panicking (a bug): nil map",
		},
		"look panics": {
			step: graph.Step{ID: "a", Do: w.step("a").Do, Look: func(context.Context) (graph.Change, error) {
				panic(fmt.Errorf("index out of range"))
			}},
			want: "a: looking: panicking (a bug): index out of range",
		},
		"done but not there": {
			step: doing(w.step("a"), func(context.Context) error { return nil }),
			want: "a: looking again: still create: a is not there",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := graph.Run(t.Context(), []graph.Step{test.step}, graph.Options{})
			if err := r.Err(); err == nil || err.Error() != test.want {
				t.Errorf("got error %v, want %s", err, test.want)
			}
			if r.Outcomes[0].Status != graph.Failed {
				t.Errorf("status %s", r.Outcomes[0].Status)
			}
		})
	}
}

func TestTimeoutSaysWhatWasLastSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		step := doing(w.step("istio@west"), func(ctx context.Context) error {
			graph.State(ctx, "0/%d ready: %s", 1, "Pending")
			graph.State(ctx, "0/1 ready: ImagePullBackOff")
			graph.State(ctx, "0/1 ready: ImagePullBackOff")
			<-ctx.Done()
			return ctx.Err()
		})
		step.Timeout = 5 * time.Minute
		var rec recorder
		r := graph.Run(t.Context(), []graph.Step{step, w.step("after", "istio@west")}, graph.Options{Observe: rec.observe})
		want := "istio@west: creating: not done within 5m0s; last seen: 0/1 ready: ImagePullBackOff"
		if err := r.Err(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		kinds := []graph.EventKind{graph.Started, graph.Looked, graph.StateSeen, graph.StateSeen, graph.StepFailed}
		if d := cmp.Diff(kinds, rec.of("istio@west")); d != "" {
			t.Errorf("the same state is told once: %s", d)
		}
		last := rec.events[len(rec.events)-2]
		if last.State != "0/1 ready: ImagePullBackOff" || last.Duration != 5*time.Minute {
			t.Errorf("failure event: state %q after %v", last.State, last.Duration)
		}
		if r.Outcomes[1].Status != graph.Blocked {
			t.Errorf("dependant is %s", r.Outcomes[1].Status)
		}
	})
}

func TestHintsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld()
	fail := func(hint string) func(context.Context) error {
		return func(context.Context) error { return fmt.Errorf("creating: %w", diag.Hint(errors.New("broken"), hint)) }
	}
	steps := []graph.Step{doing(w.step("a"), fail("free some disk")), doing(w.step("b"), fail("read the log"))}
	got := diag.Hints(graph.Run(t.Context(), steps, graph.Options{}).Err())
	if d := cmp.Diff([]string{"free some disk", "read the log"}, got); d != "" {
		t.Error(d)
	}
}

func TestTimeoutKeepsTheCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		step := doing(w.step("a"), func(ctx context.Context) error {
			graph.State(ctx, "2 of 3 nodes")
			<-ctx.Done()
			return fmt.Errorf("waiting for nodes: last seen: 2 of 3 nodes: %w", ctx.Err())
		})
		step.Timeout = time.Minute
		err := graph.Run(t.Context(), []graph.Step{step}, graph.Options{}).Err()
		want := "a: creating: not done within 1m0s: waiting for nodes: last seen: 2 of 3 nodes: context deadline exceeded"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error("the cause is lost")
		}
	})
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorld("there")
		var told bool
		steps := []graph.Step{
			w.step("there"),
			doing(w.step("failed", "there"), func(context.Context) error { return errors.New("broken") }),
			doing(w.step("running"), func(ctx context.Context) error {
				time.AfterFunc(time.Second, cancel)
				<-ctx.Done()
				told = true
				return fmt.Errorf("creating: %w", ctx.Err())
			}),
			w.step("after", "running"),
			w.step("blocked", "failed", "running"),
		}
		r := graph.Run(ctx, steps, graph.Options{})
		want := map[string]graph.Status{
			"there": graph.Unchanged, "failed": graph.Failed, "running": graph.Interrupted,
			"after": graph.Interrupted, "blocked": graph.Blocked,
		}
		if d := cmp.Diff(want, statuses(r)); d != "" {
			t.Error(d)
		}
		if !told {
			t.Error("the running step was not told")
		}
		if err := r.Err(); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted while running was running") {
			t.Errorf("error: %v", err)
		}
	})
}

func TestInterruptGivesUpOnAStubbornStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := newWorld()
		var rec recorder
		r := graph.Run(ctx, []graph.Step{doing(w.step("deaf"), func(ctx context.Context) error {
			time.Sleep(time.Hour)
			graph.State(ctx, "nobody hears this")
			return nil
		})}, graph.Options{Observe: rec.observe})
		if r.Duration != 5*time.Second {
			t.Errorf("stopped after %v, want 1s and the grace of 4s", r.Duration)
		}
		if o := r.Outcomes[0]; o.Status != graph.Interrupted || !strings.Contains(o.Err.Error(), "did not stop when told to") {
			t.Errorf("%s: %v", o.Status, o.Err)
		}
		seen := len(rec.events)
		time.Sleep(2 * time.Hour)
		if len(rec.events) != seen {
			t.Error("a step that was given up is still heard")
		}
	})
}

func TestNothingStartsAfterTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWorld()
	r := graph.Run(ctx, []graph.Step{w.step("a"), w.step("b", "a")}, graph.Options{})
	if len(w.log) != 0 || len(r.Interrupted()) != 2 || r.Changed() || !errors.Is(r.Err(), context.Canceled) {
		t.Errorf("log %v, statuses %v, error %v", w.log, statuses(r), r.Err())
	}
}

func TestParallelIsBounded(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]time.Duration{0: 2 * time.Second, 1: 20 * time.Second, 7: 3 * time.Second, 20: time.Second} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var steps []graph.Step
				for i := range 20 {
					steps = append(steps, w.step(fmt.Sprint(i)))
				}
				if r := graph.Run(t.Context(), steps, graph.Options{Parallel: limit}); r.Duration != want {
					t.Errorf("20 steps of 1s took %v, want %v", r.Duration, want)
				}
			})
		})
	}
}

// TestOrder runs random graphs with random failures: whatever happens, a need has ended
// before its dependant starts, and a step is blocked exactly when a failure is below it.
func TestOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { checkOrder(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func checkOrder(t *testing.T, random *rand.Rand) {
	w := newWorld()
	var steps []graph.Step
	for i := range 1 + random.IntN(40) {
		var needs []string
		for range min(i, random.IntN(4)) {
			needs = append(needs, fmt.Sprint(random.IntN(i)))
		}
		s := w.step(fmt.Sprint(i), needs...)
		if random.IntN(10) == 0 {
			s = doing(s, func(context.Context) error { return errors.New("broken") })
		}
		steps = append(steps, s)
	}
	random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	r := graph.Run(t.Context(), steps, graph.Options{Parallel: 1 + random.IntN(8)})
	got := statuses(r)
	for _, s := range steps {
		below := false
		for _, need := range s.Needs {
			below = below || got[need] == graph.Failed || got[need] == graph.Blocked
			if start := w.position("start " + s.ID); start >= 0 && w.position("end "+need) > start {
				t.Errorf("%s started before %s ended", s.ID, need)
			}
		}
		if below != (got[s.ID] == graph.Blocked) {
			t.Errorf("%s is %s, failure below: %v", s.ID, got[s.ID], below)
		}
	}
}
