// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// spread is one service over which answers are shared, with the name of its variant.
type spread struct{ service, variant string }

func (w *World) spreads() []spread {
	all := []spread{{serviceEven, "even"}}
	for _, c := range w.Clusters {
		all = append(all, spread{serviceHeavy(c), fmt.Sprintf("%d:1 for %s", heavy, c)})
	}
	return all
}

// eachSpread judges every ordered pair under every distribution of pods.
func (w *World) eachSpread(judge func(p topology.Pair, s spread, endpoints []Endpoint) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		for _, s := range w.spreads() {
			endpoints := w.Views[p.From].Services[host(w.Namespace, s.service)]
			var r Result
			switch {
			case w.notReady(p.From, p.To) != "":
				r = unsure("%s", w.notReady(p.From, p.To))
			case w.unviewed(p.From) != "":
				r = unsure("%s", w.unviewed(p.From))
			default:
				r = judge(p, s, endpoints)
			}
			out = append(out, r.between(p.From, p.To, s.variant).with("endpoints", endpoints))
		}
	}
	return out
}

// weights sums the weights of endpoints that take traffic, by cluster.
func weights(endpoints []Endpoint) (byCluster map[string]int, total int) {
	byCluster = map[string]int{}
	for _, e := range endpoints {
		if e.Healthy && e.Priority == 0 {
			byCluster[e.Cluster] += e.Weight
			total += e.Weight
		}
	}
	return byCluster, total
}

func judgeWeights(w *World) []Result {
	return w.eachSpread(func(p topology.Pair, s spread, endpoints []Endpoint) Result {
		have, total := weights(endpoints)
		ready, all := map[string]int{}, 0
		for _, c := range w.Clusters {
			if !w.Topology.Knows(p.From, c) {
				continue
			}
			ready[c] = w.Probes[c].Ready[s.service]
			all += ready[c]
		}
		if all == 0 || ready[p.To] == 0 {
			return unsure("no pod of %s is ready in %s", s.service, p.To)
		}
		want := float64(ready[p.To]) / float64(all)
		share := 0.0
		if total > 0 {
			share = float64(have[p.To]) / float64(total)
		}
		var r Result
		switch {
		case share == 0:
			r = fail("LOC008", "%s has no weight in %s, though %d of its pods are ready", p.To, p.From, ready[p.To])
		case math.Abs(share-want) > 0.01:
			r = warn("LOC008", "gateway weight %d of %d for %s does not match %d of %d ready endpoints", have[p.To], total, p.To, ready[p.To], all)
		default:
			r = pass("%s has %d of the weight %d in %s, as %d of %d ready endpoints", p.To, have[p.To], total, p.From, ready[p.To], all)
		}
		return r.with("weights", have).with("ready", ready)
	})
}

func judgeShares(w *World) []Result {
	return w.eachSpread(func(p topology.Pair, s spread, endpoints []Endpoint) Result {
		load := w.Loads[LoadKey{p.From, s.service}]
		group := w.behind(p)
		// Answers that one of them does not give raise the share of all others.
		sharing := slices.DeleteFunc(slices.Clone(w.Clusters), func(c string) bool { return c != p.From && !w.Topology.Knows(p.From, c) })
		name := strings.Join(group, " and ")
		answered := 0
		for _, n := range load.Answers {
			answered += n
		}
		byCluster, total := weights(endpoints)
		have, got := 0, 0
		for _, c := range group {
			have += byCluster[c]
			got += load.Answers[c]
		}
		switch {
		case load.Problem != "" || load.Sent == 0:
			return unsure("requests from %s could not be sent: %s", p.From, or(load.Problem, "none was sent"))
		case w.hindered(sharing...) != "":
			return unsure("no share can be judged: %s", w.hindered(sharing...)).evidence(load)
		case answered < leastAnswers:
			return unsure("%d answers are too few to judge a share, %d are needed", answered, leastAnswers).evidence(load)
		case byCluster[p.To] == 0:
			return unsure("%s has no weight in %s, so no share is expected of it", p.To, p.From).evidence(load)
		}
		low, high := bounds(answered, float64(have)/float64(total))
		r := pass("%d of %d answers came from %s, %d to %d were expected", got, answered, name, low, high)
		switch {
		case got >= low && got <= high:
		case got > 0 && couldFit(got, load.Sent-answered, load.Sent, float64(have)/float64(total)):
			// It answers, and what is missing may be its own: then it is slow and its share is not known.
			r = unsure("%d of %d requests got no answer; %d came from %s, and those that are missing may be its own", load.Sent-answered, load.Sent, got, name)
		default:
			r = fail("LOC008", "%d of %d answers came from %s, weight %d of %d lets expect %d to %d", got, answered, name, have, total, low, high)
		}
		return r.evidence(load).with("expected", []int{low, high}).with("confidence", confidence)
	})
}

// couldFit says whether a share is within bounds if some of the missing answers are counted in.
func couldFit(got, missing, sent int, share float64) bool {
	low, high := bounds(sent, share)
	return got <= high && got+missing >= low
}

// behind are the clusters whose pods may answer what is sent from p.From to p.To: where these
// are in different networks, all of the second one's network. A gateway passes on to every pod
// of its network, and spreads connections over them, not requests: few, so that no share within
// the network can be expected of a few hundred requests.
func (w *World) behind(p topology.Pair) []string {
	if !w.apart(p.From, p.To) {
		return []string{p.To}
	}
	return slices.DeleteFunc(slices.Clone(w.Clusters), func(c string) bool { return w.apart(c, p.To) || !w.Topology.Knows(p.From, c) })
}
