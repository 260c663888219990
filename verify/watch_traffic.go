// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/probe"
)

const (
	// watchRate is what one caller sends in a second, to all clusters together.
	watchRate = 1.0
	// watchEach is how many requests each cluster gets the chance of before it is judged that it
	// answers none: with answers shared evenly by chance, one of two misses them all once in a
	// million.
	watchEach = 10
	// watchFew are enough where something else was seen to stand in the way.
	watchFew = 3
)

// observeAnswers has every caller send requests, one a second, until each cluster that it knows
// has answered; in a whole mesh that is after a handful.
func (w *watch) observeAnswers(ctx context.Context) {
	if !w.want[FactEven] {
		return
	}
	w.state("sending requests")
	began := time.Now()
	var mu sync.Mutex
	loads := map[LoadKey]Load{}
	w.each(func(m *member) {
		l := w.trickle(ctx, m)
		mu.Lock()
		defer mu.Unlock()
		loads[LoadKey{m.name, serviceEven}] = l
		w.sent.Requests[m.name] += l.Sent
	})
	w.record(FactEven, began, func(world *World) { world.Loads = loads })
}

// trickle is the load of one caller.
func (w *watch) trickle(ctx context.Context, m *member) Load {
	l := Load{Problem: m.why(), Host: host(m.namespace, serviceEven), Answers: map[string]int{}}
	if l.Problem != "" {
		return l
	}
	most := time.Duration(float64(watchEach*w.pairsOf(m.name)) / watchRate * float64(time.Second))
	// Half a request more, so that the last one is sent whenever the clock is looked at.
	rep, err := ask[probe.RunReport](ctx, m, roleCaller, http.MethodPost, "/runs", probe.RunRequest{
		URL: address(l.Host, pathOpen), Rate: watchRate, Duration: min(most+time.Second/2, probe.MaxDuration), Timeout: patience,
	})
	if err != nil {
		l.Problem = sentence(err)
		return l
	}
	// Time that is up is no error: what was seen is judged.
	_ = poll.Until(ctx, poll.Options{What: "answers", Interval: 500 * time.Millisecond, Deadline: most + patience},
		func(looking context.Context) (bool, string, error) {
			now, err := ask[probe.RunReport](looking, m, roleCaller, http.MethodGet, "/runs/"+rep.ID, nil)
			if err != nil {
				return false, "", err
			}
			l.count(w.session, now)
			return now.Done || w.heard(m.name, l), fmt.Sprintf("%d sent", l.Sent), nil
		})
	last, err := ask[probe.RunReport](ctx, m, roleCaller, http.MethodDelete, "/runs/"+rep.ID, nil)
	if err != nil {
		if l.Sent == 0 {
			l.Problem = sentence(err)
		}
		return l
	}
	l.count(w.session, last)
	return l
}

// count takes over what a run has seen so far.
func (l *Load) count(s *session, rep probe.RunReport) {
	l.Sent, l.Outcomes, l.Answers, l.Lost, l.Unknown = rep.Sent, rep.Outcomes, map[string]int{}, 0, 0
	for _, o := range rep.Outcomes {
		switch c := s.answered(o); {
		case !o.OK():
			l.Lost += o.Count
		case c == "":
			l.Unknown += o.Count
		default:
			l.Answers[c] += o.Count
		}
	}
}
