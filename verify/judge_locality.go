// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/topology"
)

func judgeNodes(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		out = append(out, w.judgeNodesOf(c).between("", c).with("nodes", w.Nodes[c].Localities).with("see", fmt.Sprintf(
			"kubectl --context %s get nodes -L %s,%s", w.Topology.Context(c), topology.LabelRegion, topology.LabelZone)))
	}
	return out
}

func (w *World) judgeNodesOf(c string) Result {
	nodes, ok := w.Nodes[c]
	if !ok || nodes.Problem != "" || len(nodes.Localities) == 0 {
		return unsure("the nodes of %s could not be looked at: %s", c, or(nodes.Problem, "there is none"))
	}
	want := w.wanted(c)
	if len(want) == 0 {
		return skip("the topology names no locality for %s", c)
	}
	for _, name := range sortedKeys(nodes.Localities) {
		have := nodes.Localities[name]
		switch {
		case have == (topology.Locality{}):
			return fail("LOC001", "node %s of %s lacks region and zone labels", name, c)
		case !slices.Contains(want, have):
			return fail("LOC001", "node %s of %s is in %s, the topology says %s", name, c, spelled(have), spelled(want[0]))
		}
	}
	return pass("%d nodes of %s are in %s", len(nodes.Localities), c, spelled(want[0]))
}

// wanted are the localities that the topology gives the nodes of a cluster.
func (w *World) wanted(c string) []topology.Locality {
	cluster := w.Topology.Cluster(c)
	if cluster == nil {
		return nil
	}
	all := []topology.Locality{cluster.Locality}
	if cluster.Provider.Kind != nil {
		for _, n := range cluster.Provider.Kind.Nodes {
			all = append(all, n.Locality)
		}
	}
	return slices.DeleteFunc(all, func(l topology.Locality) bool { return l == topology.Locality{} })
}

func spelled(l topology.Locality) string {
	if l.Zone == "" {
		return or(l.Region, "no locality")
	}
	return l.Region + "/" + l.Zone
}

// eachView judges every ordered pair by the endpoints of the service with locality on.
func (w *World) eachView(judge func(p topology.Pair, near, far []Endpoint) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		views := w.Views[p.From]
		endpoints := views.Services[host(w.Namespace, serviceLocal)]
		var near, far []Endpoint
		for _, e := range endpoints {
			switch e.Cluster {
			case p.From:
				near = append(near, e)
			case p.To:
				far = append(far, e)
			}
		}
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case views.Problem != "":
			r = unsure("the endpoints of the caller in %s could not be read: %s", p.From, views.Problem)
		case len(near) == 0:
			r = unsure("the caller in %s has no local endpoint", p.From)
		case len(far) == 0:
			r = unsure("the caller in %s has no endpoint of %s, so staying local says nothing", p.From, p.To)
		default:
			r = judge(p, near, far)
		}
		out = append(out, r.between(p.From, p.To).with("endpoints", endpoints))
	}
	return out
}

// together says whether two clusters' nodes share one locality; ok is false when that is
// not known.
func (w *World) together(p topology.Pair) (same, ok bool) {
	a, oka := w.Nodes[p.From].locality()
	b, okb := w.Nodes[p.To].locality()
	return a == b, oka && okb
}

func judgePriorities(w *World) []Result {
	return w.eachView(func(p topology.Pair, near, far []Endpoint) Result {
		same, ok := w.together(p)
		if !ok {
			return unsure("the nodes of %s or %s are in several localities or in none that is known", p.From, p.To)
		}
		order := func(a, b Endpoint) int { return a.Priority - b.Priority }
		last, first := slices.MaxFunc(near, order).Priority, slices.MinFunc(far, order).Priority
		switch {
		case same && first == last:
			return pass("%s and %s are in one locality and share priority %d", p.From, p.To, last)
		case !same && last == 0 && first > last:
			return pass("%s has priority %d, %s has %d", p.From, last, p.To, first)
		}
		return fail("LOC003", "priorities in %s do not follow locality: %s has %d, %s has %d", p.From, p.From, last, p.To, first)
	})
}

func judgeLocal(w *World) []Result {
	return w.eachView(func(p topology.Pair, _, _ []Endpoint) Result {
		load := w.Loads[LoadKey{p.From, serviceLocal}]
		same, ok := w.together(p)
		local, away := load.Answers[p.From], 0
		for _, c := range w.Clusters {
			if c != p.From {
				away += load.Answers[c]
			}
		}
		var r Result
		switch {
		case load.Problem != "" || load.Sent == 0:
			return unsure("requests from %s could not be sent: %s", p.From, or(load.Problem, "none was sent"))
		case !ok:
			r = unsure("the nodes of %s or %s are in several localities or in none that is known", p.From, p.To)
		case same:
			r = skip("%s and %s are in one locality: shared, not judged", p.From, p.To)
		case load.Answers[p.To] > 0:
			r = fail("LOC004", "local traffic left %s while local was healthy: %d of %d answers came from %s", p.From, load.Answers[p.To], load.Sent, p.To)
		case local == load.Sent:
			r = pass("%d of %d answers were local to %s", local, load.Sent, p.From)
		default:
			r = unsure("%d of %d answers were local to %s, %d came from other clusters, %d were lost", local, load.Sent, p.From, away, load.Lost)
		}
		return r.evidence(load)
	})
}
