// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// record collects the outcomes of one run.
type record struct {
	mu        sync.Mutex
	started   time.Time
	elapsed   time.Duration
	done      bool
	outcomes  []Outcome
	index     map[Outcome]int
	buckets   map[int]map[int]int
	latencies []time.Duration
	next      int
	waiting   map[int]time.Time // requests without an answer, by when they were sent
}

func newRecord(now time.Time) *record {
	return &record{started: now, index: map[Outcome]int{}, buckets: map[int]map[int]int{}, waiting: map[int]time.Time{}}
}

// sent notes that a request is under way; done must be called when it is not any more.
func (r *record) sent(at time.Time) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.next
	r.next++
	r.waiting[id] = at
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, id)
	}
}

// add counts one request that was sent at the given time and took so long.
func (r *record) add(o Outcome, sent time.Time, took time.Duration) {
	at := sent.Sub(r.started)
	key := Outcome{Pod: o.Pod, UID: o.UID, Status: o.Status, Error: o.Error}
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.index[key]
	if !ok {
		i = len(r.outcomes)
		r.index[key] = i
		key.Detail, key.First, key.Last = o.Detail, at, at
		r.outcomes = append(r.outcomes, key)
	}
	c := &r.outcomes[i]
	c.Count++
	c.First, c.Last = min(c.First, at), max(c.Last, at)
	b := int(at / BucketWidth)
	if r.buckets[b] == nil {
		r.buckets[b] = map[int]int{}
	}
	r.buckets[b][i]++
	if o.Status != 0 {
		r.latencies = append(r.latencies, took)
	}
}

func (r *record) finish(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.elapsed = true, now.Sub(r.started)
}

// report copies what was seen so far.
func (r *record) report(id string, now time.Time) RunReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := RunReport{ID: id, Started: r.started, Elapsed: now.Sub(r.started), Done: r.done, Outcomes: slices.Clone(r.outcomes)}
	if r.done {
		rep.Elapsed = r.elapsed
	}
	for _, o := range r.outcomes {
		rep.Sent += o.Count
	}
	rep.Complete = rep.Elapsed
	for _, at := range r.waiting {
		rep.Complete = min(rep.Complete, at.Sub(r.started))
	}
	for _, b := range slices.Sorted(maps.Keys(r.buckets)) {
		rep.Timeline = append(rep.Timeline, Bucket{At: time.Duration(b) * BucketWidth, Counts: maps.Clone(r.buckets[b])})
	}
	sorted := slices.Sorted(slices.Values(r.latencies))
	if n := len(sorted); n > 0 {
		rep.P50, rep.P99 = sorted[n/2], sorted[min(n-1, n*99/100)]
	}
	return rep
}
