// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// steady is how long answers must come from one place, without a lost request, to be called
// steady: ten buckets of the time line.
const steady = 10

// story is a time line read: who answered in each bucket.
type story struct {
	// local, remote and lost requests in each bucket from the start.
	local, remote, lost []int
	// fault and repair as buckets.
	fault, repair int
}

// read turns a line into a story. Answers of clusters that are neither are lost: they are
// not where the requests were meant to go.
func (l Line) read(p topology.Pair) story {
	n := 0
	for _, b := range l.Report.Timeline {
		n = max(n, int(b.At/probe.BucketWidth)+1)
	}
	s := story{local: make([]int, n), remote: make([]int, n), lost: make([]int, n),
		fault: int(l.Fault / probe.BucketWidth), repair: int(l.Repair / probe.BucketWidth)}
	for _, b := range l.Report.Timeline {
		at := int(b.At / probe.BucketWidth)
		for i, count := range b.Counts {
			if at < 0 || i < 0 || i >= len(l.Report.Outcomes) || i >= len(l.Clusters) {
				continue
			}
			switch o := l.Report.Outcomes[i]; {
			case o.OK() && l.Clusters[i] == p.From:
				s.local[at] += count
			case o.OK() && l.Clusters[i] == p.To:
				s.remote[at] += count
			default:
				s.lost[at] += count
			}
		}
	}
	return s
}

// until cuts off the buckets that may still change.
func (s story) until(complete time.Duration) story {
	n := min(len(s.local), int(complete/probe.BucketWidth))
	s.local, s.remote, s.lost = s.local[:n], s.remote[:n], s.lost[:n]
	return s
}

func sum(counts []int, from, to int) int {
	total := 0
	for i := max(from, 0); i < min(to, len(counts)); i++ {
		total += counts[i]
	}
	return total
}

// first is the first bucket of [from, to) with a count; -1 when there is none.
func first(counts []int, from, to int) int {
	for i := max(from, 0); i < min(to, len(counts)); i++ {
		if counts[i] > 0 {
			return i
		}
	}
	return -1
}

// settled is the start of the first steady time in [from, to) during which only good
// answered; -1 when there is none.
func settled(good, other, lost []int, from, to int) int {
	for i := max(from, 0); i+steady <= min(to, len(good)); i++ {
		if sum(good, i, i+steady) > 0 && sum(other, i, i+steady)+sum(lost, i, i+steady) == 0 && good[i] > 0 {
			return i
		}
	}
	return -1
}

// since is the time from one bucket to another.
func since(from, to int) time.Duration {
	return max(0, time.Duration(to-from)*probe.BucketWidth)
}

// shared says whether the callers of one cluster and the echo of another are in one locality by
// their nodes, and the topology promises nothing else: Istio then spreads requests over both at
// any time, so nothing can fail over.
func (w *World) shared(p topology.Pair) bool {
	here, known := w.callerAt(p.From)
	there, placed := w.podAt(p.To, func(pod ProbePod) bool { return pod.Name == string(roleEcho) })
	from, to := w.wanted(p.From), w.wanted(p.To)
	promised := len(from) > 0 && len(to) > 0 && !slices.ContainsFunc(from, func(l topology.Locality) bool { return slices.Contains(to, l) })
	return known && placed && here == there && !promised
}

// spread is the result for such a pair.
func (w *World) spread(p topology.Pair) Result {
	place, _ := w.callerAt(p.From)
	where := "carry no locality"
	if place != (topology.Locality{}) {
		where = "are both in " + spelled(place)
	}
	return moot("the nodes of %s and %s %s, so both answer at any time and nothing fails over; spec.clusters[].locality gives them one each",
		p.From, p.To, where)
}

// eachLine judges every ordered pair under every fault.
func (w *World) eachLine(judge func(p topology.Pair, l Line, s story) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		for _, f := range faultKinds() {
			l, ok := w.Lines[LineKey{p.From, p.To, f.variant()}]
			s := l.read(p)
			var r Result
			switch {
			case w.notReady(p.From, p.To) != "":
				r = unsure("%s", w.notReady(p.From, p.To))
			case w.shared(p):
				r = w.spread(p).with("endpoints", w.Views[p.From].Services[host(w.Namespace, serviceFault(w.Topology, f, p))])
			case w.hindered(p.From, p.To) != "":
				r = unsure("failover from %s to %s can not be judged: %s", p.From, p.To, w.hindered(p.From, p.To))
			case !ok || l.Problem != "":
				r = unsure("failover from %s to %s could not be tried: %s", p.From, p.To, or(l.Problem, "it was not tried"))
			case s.fault <= 0 || sum(s.local, 0, s.fault) == 0:
				r = unsure("%s was not answered locally before the fault, so nothing can fail over: %s", p.From, described(l.Report.Outcomes))
			default:
				r = judge(p, l, s)
			}
			if ok {
				r = r.with("rate", l.Rate).with("policy", l.Policy)
			}
			out = append(out, r.between(p.From, p.To, f.variant()))
		}
	}
	return out
}

func judgeSwitch(w *World) []Result {
	within := time.Duration(w.Topology.Spec.Verify.Failover.Within)
	return w.eachLine(func(p topology.Pair, l Line, s story) Result {
		// The bucket in which the fault began belongs to both times.
		start, end := first(s.remote, s.fault, s.repair), settled(s.remote, s.local, s.lost, s.fault, s.repair)
		failed := sum(s.lost, s.fault, s.repair)
		answered := failed + sum(s.local, s.fault, s.repair) + sum(s.remote, s.fault, s.repair)
		var r Result
		switch {
		case sum(s.remote, 0, s.fault) > 0:
			r = fail("LOC004", "%d answers came from %s before the fault", sum(s.remote, 0, s.fault), p.To)
		case start < 0:
			r = fail("LOC005", "failover from %s to %s did not happen in %s: no answer from %s, %d of %d requests failed", p.From, p.To, since(s.fault, s.repair), p.To, failed, answered)
		case end < 0:
			r = fail("LOC005", "failover from %s to %s did not become steady in %s: %d of %d requests failed", p.From, p.To, since(s.fault, s.repair), failed, answered)
		case since(s.fault, end) > within:
			r = fail("LOC005", "failover from %s to %s took %s, at most %s is allowed", p.From, p.To, since(s.fault, end), within)
		default:
			r = pass("%s answered %s after %s, steadily after %s", p.To, p.From, since(s.fault, start), since(s.fault, end))
		}
		return r.with("timeline", map[string]any{
			"bucketMilliseconds": probe.BucketWidth.Milliseconds(), "faultAt": l.Fault.Seconds(), "repairAt": l.Repair.Seconds(),
			p.From: s.local, p.To: s.remote, "lost": s.lost,
		}).with("firstSeconds", seconds(s.fault, start)).with("steadySeconds", seconds(s.fault, end))
	})
}

// seconds is null when the moment never came.
func seconds(from, to int) any {
	if to < 0 {
		return nil
	}
	return since(from, to).Seconds()
}

func judgeLost(w *World) []Result {
	limit := w.Topology.Spec.Verify.Failover.LostAtMost
	return w.eachLine(func(p topology.Pair, l Line, s story) Result {
		lost, all := sum(s.lost, 0, len(s.lost)), l.Report.Sent
		r := pass("%d of %d requests from %s were lost, at most %d are allowed", lost, all, p.From, limit)
		if lost > limit {
			r = fail("LOC005", "%d of %d requests from %s were lost, at most %d are allowed: %s; where a slow machine loses more, raise spec.verify.failover.lostAtMost",
				lost, all, p.From, limit, s.when())
		}
		failed := slices.DeleteFunc(slices.Clone(l.Report.Outcomes), probe.Outcome.OK)
		slices.SortStableFunc(failed, func(a, b probe.Outcome) int { return cmp.Compare(a.First, b.First) })
		return r.with("lost", lost).with("when", s.when()).with("sent", all).with("failures", described(failed))
	})
}

// when says in which time requests were lost: before the fault none should be.
func (s story) when() string {
	var parts []string
	for _, phase := range []struct {
		name     string
		from, to int
	}{{"before the fault", 0, s.fault}, {"under it", s.fault, s.repair}, {"after the repair", s.repair, len(s.lost)}} {
		n, begin := sum(s.lost, phase.from, phase.to), first(s.lost, phase.from, phase.to)
		if n == 0 {
			continue
		}
		last := begin
		for i := begin; i < min(phase.to, len(s.lost)); i++ {
			if s.lost[i] > 0 {
				last = i
			}
		}
		text := fmt.Sprintf("%d %s", n, phase.name)
		if phase.from > 0 {
			text += fmt.Sprintf(" (from %s to %s of it)", since(phase.from, begin), since(phase.from, last+1))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func judgeBack(w *World) []Result {
	within := time.Duration(w.Topology.Spec.Verify.Failover.BackWithin)
	return w.eachLine(func(p topology.Pair, _ Line, s story) Result {
		back := settled(s.local, s.remote, s.lost, s.repair, len(s.local))
		var r Result
		switch {
		case sum(s.remote, s.fault, s.repair) == 0:
			r = unsure("traffic never left %s, so it could not return", p.From)
		case back < 0:
			r = fail("LOC010", "traffic did not return to %s within %s after recovery", p.From, since(s.repair, len(s.local)))
		case since(s.repair, back) > within:
			r = fail("LOC010", "traffic returned to %s after %s, at most %s is allowed", p.From, since(s.repair, back), within)
		default:
			r = pass("%s was answered locally again %s after repair", p.From, since(s.repair, back))
		}
		return r.with("backSeconds", seconds(s.repair, back))
	})
}
