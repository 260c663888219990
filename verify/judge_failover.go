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

// answeredByBoth is the start of the first steady time in [from, to) during which both answered, in its
// first half and in its second; -1 when there is none.
func answeredByBoth(one, other, lost []int, from, to int) int {
	for i := max(from, 0); i+steady <= min(to, len(one)); i++ {
		half, end := i+steady/2, i+steady
		if sum(lost, i, end) == 0 && sum(one, i, half) > 0 && sum(one, half, end) > 0 && sum(other, i, half) > 0 && sum(other, half, end) > 0 && other[i] > 0 {
			return i
		}
	}
	return -1
}

// calm is the start of the first steady time, -1 without one: the own cluster answers or, where
// the way to the other one is about to go, both do.
func (f faultKind) calm(s story) int {
	if f.disruptive() {
		return answeredByBoth(s.local, s.remote, s.lost, 0, len(s.local))
	}
	return settled(s.local, s.remote, s.lost, 0, len(s.local))
}

// moved is the start of the first steady time under the fault, without the cluster that it took
// away.
func (f faultKind) moved(s story) int {
	if f.disruptive() {
		return settled(s.local, s.remote, s.lost, s.fault, s.end())
	}
	return settled(s.remote, s.local, s.lost, s.fault, s.end())
}

// returned is the start of the first steady time after the repair, as before the fault.
func (f faultKind) returned(s story) int {
	if f.disruptive() {
		return answeredByBoth(s.local, s.remote, s.lost, s.repair, len(s.local))
	}
	return settled(s.local, s.remote, s.lost, s.repair, len(s.local))
}

// end is the last bucket under the fault, while it goes on the last one there is.
func (s story) end() int {
	if s.repair > 0 {
		return s.repair
	}
	return len(s.local)
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
func (w *World) eachLine(judge func(p topology.Pair, f faultKind, l Line, s story) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		for _, f := range faultKinds(w.Disruptive) {
			l, ok := w.Lines[LineKey{p.From, p.To, f.variant()}]
			s := l.read(p)
			var r Result
			switch {
			case l.Skipped != "":
				r = skip("%s", l.Skipped)
			case w.notReady(p.From, p.To) != "":
				r = unsure("%s", w.notReady(p.From, p.To))
			case !f.disruptive() && w.shared(p):
				r = w.spread(p).with("endpoints", w.Views[p.From].Services[host(w.Namespace, serviceFault(w.Topology, f, p))])
			case w.hindered(p.From, p.To) != "":
				r = unsure("failover from %s to %s can not be judged: %s", p.From, p.To, w.hindered(p.From, p.To))
			case !ok || l.Problem != "":
				r = unsure("failover from %s to %s could not be tried: %s", p.From, p.To, or(l.Problem, "it was not tried"))
			case s.fault <= 0 || sum(s.local, 0, s.fault) == 0:
				r = unsure("%s was not answered locally before the fault, so nothing can fail over: %s", p.From, described(l.Report.Outcomes))
			case f.disruptive() && sum(s.remote, 0, s.fault) == 0:
				r = unsure("%s did not answer %s before the fault, so its absence shows nothing: %s", p.To, p.From, described(l.Report.Outcomes))
			default:
				r = judge(p, f, l, s)
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
	return w.eachLine(func(p topology.Pair, f faultKind, l Line, s story) Result {
		// The bucket in which the fault began belongs to both times.
		start, end := first(s.remote, s.fault, s.repair), f.moved(s)
		var r Result
		if f.disruptive() {
			start = first(s.local, s.fault, s.repair)
			r = judgeLeft(p, f, s, within)
		} else {
			r = judgeMoved(p, f, l, s, within)
		}
		return r.with("timeline", s.timeline(p, l)).with("firstSeconds", seconds(s.fault, start)).with("steadySeconds", seconds(s.fault, end))
	})
}

// timeline is a story as evidence: how many answers came from each cluster, and how many requests were
// lost, in each bucket. A cluster may have any name, "lost" among them.
func (s story) timeline(p topology.Pair, l Line) map[string]any {
	return map[string]any{
		"bucketMilliseconds": probe.BucketWidth.Milliseconds(), "faultAt": l.Fault.Seconds(), "repairAt": l.Repair.Seconds(),
		"answers": map[string][]int{p.From: s.local, p.To: s.remote}, "lost": s.lost,
	}
}

// judgeMoved judges a fault of the own backend: the other cluster answers in its stead.
func judgeMoved(p topology.Pair, f faultKind, l Line, s story, within time.Duration) Result {
	start, end := first(s.remote, s.fault, s.repair), f.moved(s)
	failed, answered := s.under()
	switch {
	case l.Early > 0:
		return fail("LOC004", "%d answers came from %s before the fault", l.Early, p.To)
	case start < 0:
		return fail("LOC005", "failover from %s to %s did not happen in %s: no answer from %s, %d of %d requests failed", p.From, p.To, since(s.fault, s.repair), p.To, failed, answered)
	case end < 0:
		return fail("LOC005", "failover from %s to %s did not become steady in %s: %d of %d requests failed", p.From, p.To, since(s.fault, s.repair), failed, answered)
	case since(s.fault, end) > within:
		return fail("LOC005", "failover from %s to %s took %s, at most %s is allowed", p.From, p.To, since(s.fault, end), within)
	}
	return pass("%s answered %s after %s, steadily after %s", p.To, p.From, since(s.fault, start), since(s.fault, end))
}

// judgeLeft judges a fault of the way to the other cluster: the own one answers alone.
func judgeLeft(p topology.Pair, f faultKind, s story, within time.Duration) Result {
	end := f.moved(s)
	failed, answered := s.under()
	away := fmt.Sprintf("the %s of %s", f.Name, p.To)
	switch f.Name {
	case FaultGateway:
		away = "the east-west gateway of " + p.To
	case FaultNetwork:
		away = "the network to " + p.To
	}
	switch {
	case end < 0 && failed == 0:
		return unsure("%s answered %s all the time though %s was taken away, for %s", p.To, p.From, away, since(s.fault, s.repair))
	case end < 0:
		return fail("LOC005", "%s did not leave %s in %s after %s went away: %d of %d requests failed", p.From, p.To, since(s.fault, s.repair), away, failed, answered)
	case since(s.fault, end) > within:
		return fail("LOC005", "%s left %s %s after %s went away, at most %s is allowed", p.From, p.To, since(s.fault, end), away, within)
	}
	return pass("%s alone answered, steadily, %s after %s went away", p.From, since(s.fault, end), away)
}

// under counts the requests that failed while the fault went on, and all that ended.
func (s story) under() (failed, all int) {
	failed = sum(s.lost, s.fault, s.repair)
	return failed, failed + sum(s.local, s.fault, s.repair) + sum(s.remote, s.fault, s.repair)
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
	return w.eachLine(func(p topology.Pair, _ faultKind, l Line, s story) Result {
		lost, all := sum(s.lost, 0, len(s.lost)), l.Report.Sent
		r := pass("%d of %d requests from %s were lost, at most %d are allowed", lost, all, p.From, limit)
		if lost > limit {
			r = fail("LOC005", "%d of %d requests from %s were lost, at most %d are allowed: %s; where a slow machine loses more, raise spec.verify.failover.lostAtMost",
				lost, all, p.From, limit, s.when())
		}
		failed := slices.DeleteFunc(slices.Clone(l.Report.Outcomes), probe.Outcome.OK)
		slices.SortStableFunc(failed, func(a, b probe.Outcome) int { return cmp.Compare(a.First, b.First) })
		if len(failed) > 0 {
			r = r.with("failures", described(failed))
		}
		return r.with("lost", lost).with("when", s.when()).with("sent", all)
	})
}

// when says in which time the requests were sent that were lost: what was under way when the fault came
// counts as before.
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
	return w.eachLine(func(p topology.Pair, f faultKind, _ Line, s story) Result {
		back := f.returned(s)
		who := p.From
		if f.disruptive() {
			who = p.From + " and " + p.To
		}
		var r Result
		switch {
		case !f.disruptive() && sum(s.remote, s.fault, s.repair) == 0:
			r = unsure("traffic never left %s, so it could not return", p.From)
		case back < 0:
			r = fail("LOC010", "traffic did not return to %s within %s after recovery", who, since(s.repair, len(s.local)))
		case since(s.repair, back) > within:
			r = fail("LOC010", "traffic returned to %s after %s, at most %s is allowed", who, since(s.repair, back), within)
		case f.disruptive():
			r = pass("%s answered again %s after repair", who, since(s.repair, back))
		default:
			r = pass("%s was answered locally again %s after repair", p.From, since(s.repair, back))
		}
		return r.with("backSeconds", seconds(s.repair, back))
	})
}

// judgeRestored says of every cluster and kind of disruptive fault whether what was changed is as
// it was; the worst of several objects stands for all.
func judgeRestored(w *World) []Result {
	if !w.Disruptive {
		return nil
	}
	var out []Result
	for _, c := range w.Clusters {
		for _, kind := range []string{FaultGateway, FaultNetwork} {
			r := skip("no %s fault was made in %s", kind, c)
			for _, f := range w.Faults {
				if f.Cluster != c || f.Kind != kind {
					continue
				}
				if one := f.judge(); r.Status == Skip || slices.Index(worst(), one.Status) < slices.Index(worst(), r.Status) {
					r = one
				}
			}
			out = append(out, r.between("", c, kind))
		}
	}
	return out
}

func (f FaultSeen) judge() Result {
	var r Result
	switch {
	case f.Problem != "":
		r = fail("LOC011", "%s, and could not be restored: %s; `meshfed verify` or `meshfed up` tries it again before anything else", f.Fault, f.Problem)
	case f.Replaced != "":
		r = warn("LOC011", "%s", f.Replaced)
	default:
		r = pass("%s, after %s", f.Undone(), f.Took.Round(100*time.Millisecond))
	}
	r = r.with("object", f.Object).with("deadline", f.Until.UTC().Format(time.RFC3339)).with("tookSeconds", rounded(f.Took))
	if f.Kind == FaultGateway {
		r = r.with("replicas", f.Replicas)
	}
	return r
}
