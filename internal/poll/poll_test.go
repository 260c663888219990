// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package poll_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/poll"
)

// never is a look that only has a state to show.
func never(state string) func(context.Context) (bool, string, error) {
	return func(context.Context) (bool, string, error) { return false, state, nil }
}

func TestUntilLooksAtOnceAndThenAtIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, looks := time.Now(), []time.Duration{}
		err := poll.Until(t.Context(), poll.Options{What: "x", Interval: time.Second, Deadline: time.Minute},
			func(context.Context) (bool, string, error) {
				looks = append(looks, time.Since(start))
				return len(looks) == 4, "", nil
			})
		if err != nil {
			t.Fatal(err)
		}
		if looks[0] != 0 {
			t.Errorf("first look after %s", looks[0])
		}
		for i := 1; i < len(looks); i++ {
			if gap := looks[i] - looks[i-1]; gap < 800*time.Millisecond || gap > 1200*time.Millisecond {
				t.Errorf("look %d came %s after the one before", i, gap)
			}
		}
		if looks[1] == time.Second && looks[2] == 2*time.Second {
			t.Error("no jitter")
		}
	})
}

func TestUntilDeadlineNamesTheLastState(t *testing.T) {
	t.Parallel()
	transient := diag.Hint(errors.New("connection refused"), "kubectl cluster-info")
	cases := []struct {
		name  string
		look  func(context.Context) (bool, string, error)
		want  string
		hints []string
	}{
		{"a state", never("0/1 ready: ImagePullBackOff"), "waiting for istiod in west: not within 2m0s; last seen: 0/1 ready: ImagePullBackOff", nil},
		{"no state", never(""), "waiting for istiod in west: not within 2m0s; last seen: not yet", nil},
		{"an error that may pass, with its hint", func(context.Context) (bool, string, error) { return false, "", transient },
			"waiting for istiod in west: not within 2m0s; last seen: connection refused", []string{"kubectl cluster-info"}},
		{"state and error", func(context.Context) (bool, string, error) { return true, "0/1", transient },
			"waiting for istiod in west: not within 2m0s; last seen: 0/1: connection refused", []string{"kubectl cluster-info"}},
		{"a look that hangs", func(ctx context.Context) (bool, string, error) { <-ctx.Done(); return false, "", ctx.Err() },
			"waiting for istiod in west: not within 2m0s; last seen: nothing yet", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := poll.Until(t.Context(), poll.Options{What: "istiod in west", Interval: time.Second, Deadline: 2 * time.Minute}, c.look)
				if err == nil || err.Error() != c.want {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				if took := time.Since(start); took != 2*time.Minute {
					t.Errorf("ended after %s", took)
				}
				if !errors.Is(err, poll.ErrDeadline) || errors.Is(err, context.Canceled) {
					t.Errorf("wraps the wrong cause: %v", err)
				}
				if diff := cmp.Diff(c.hints, diag.Hints(err)); diff != "" {
					t.Errorf("hints (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestUntilCancelledNamesTheLastState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(90*time.Second, cancel)
		start := time.Now()
		err := poll.Until(ctx, poll.Options{What: "east", Interval: time.Hour, Deadline: 24 * time.Hour}, never("1/2 ready"))
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "waiting for east: context canceled; last seen: 1/2 ready") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("ended after %s, not at once", took)
		}
		if diag.ExitCode(err) != diag.ExitInterrupted {
			t.Errorf("exit code %d", diag.ExitCode(err))
		}
	})
}

func TestUntilTimeoutOfTheCallerIsNotOurDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := poll.Until(ctx, poll.Options{What: "east", Deadline: time.Minute}, never("0/1"))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, poll.ErrDeadline) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStopEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cause := errors.New("quota exceeded")
		err := poll.Until(t.Context(), poll.Options{What: "west", Deadline: time.Hour},
			func(context.Context) (bool, string, error) {
				return false, "", fmt.Errorf("creating: %w", poll.Stop(cause))
			})
		if !errors.Is(err, cause) || err.Error() != "waiting for west: creating: quota exceeded" || time.Since(start) != 0 {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
	if poll.Stop(nil) != nil {
		t.Error("Stop(nil) must be nil")
	}
}

func TestObserveIsToldChangesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		states := []string{"0/2", "0/2", "1/2", "1/2", "2/2"}
		var seen []string
		i := -1
		err := poll.Until(t.Context(), poll.Options{What: "x", Observe: func(s string) { seen = append(seen, s) }},
			func(context.Context) (bool, string, error) { i++; return i == 5, states[min(i, 4)], nil })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"0/2", "1/2", "2/2"}, seen); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestALookThatIsCutOffKnowsByWhat: what it says is all that some callers show.
func TestALookThatIsCutOffKnowsByWhat(t *testing.T) {
	t.Parallel()
	var cause error
	_ = poll.Until(t.Context(), poll.Options{What: "the door", Deadline: 10 * time.Millisecond}, func(ctx context.Context) (bool, string, error) {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return false, "", cause
	})
	if !errors.Is(cause, poll.ErrDeadline) || cause.Error() != "waiting for the door: not within 10ms" {
		t.Errorf("%v", cause)
	}
}
