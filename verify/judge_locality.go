// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	declared := w.places(c)
	for _, place := range slices.SortedFunc(maps.Keys(declared), compareLocality) {
		if have := count(nodes, place); have != declared[place] {
			return fail("LOC001", "%d nodes of %s are in %s, the topology says %d", have, c, spelled(place), declared[place])
		}
	}
	var places []string
	for _, l := range nodes.Localities {
		places = append(places, spelled(l))
	}
	slices.Sort(places)
	return pass("%d nodes of %s are in %s", len(nodes.Localities), c, strings.Join(slices.Compact(places), ", "))
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

// places says how many nodes of a cluster are in each locality by the topology; nothing where
// that does not list them.
func (w *World) places(c string) map[topology.Locality]int {
	cluster, places := w.Topology.Cluster(c), map[topology.Locality]int{}
	if cluster.Provider.Kind == nil {
		return nil
	}
	for _, n := range cluster.Provider.Kind.Nodes {
		if n.Locality == (topology.Locality{}) {
			n.Locality = cluster.Locality
		}
		places[n.Locality]++
	}
	return places
}

// count is how many nodes are in a locality.
func count(nodes Nodes, place topology.Locality) int {
	n := 0
	for _, l := range nodes.Localities {
		if l == place {
			n++
		}
	}
	return n
}

func spelled(l topology.Locality) string {
	if l.Zone == "" {
		return or(l.Region, "no locality")
	}
	return l.Region + "/" + l.Zone
}

// view is what the caller of a cluster has of the service with locality on: endpoints of its
// own zone, those of another cluster or of the other zones of its own, and all of both.
type view struct{ near, far, all []Endpoint }

// eachView judges every ordered pair, and every cluster with several zones by itself, by the
// endpoints of the service with locality on.
func (w *World) eachView(judge func(p topology.Pair, v view) Result) []Result {
	var out []Result
	for _, p := range append(w.pairs(), w.zoned()...) {
		endpoints := w.Views[p.From].Services[host(w.Namespace, serviceLocal)]
		v := w.sorted(p, endpoints)
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case p.From == p.To && w.Nodes[p.From].Problem == "" && len(w.Nodes[p.From].zones()) < 2:
			r = skip("pods of %s can be in one zone only", p.From)
		case w.unviewed(p.From) != "":
			r = unsure("%s", w.unviewed(p.From))
		case len(v.near) == 0:
			r = unsure("the caller in %s has no local endpoint", p.From)
		case len(v.far) == 0 && p.From == p.To:
			r = unsure("the caller in %s has no endpoint in another zone, so staying in its own says nothing", p.From)
		case len(v.far) == 0:
			r = unsure("the caller in %s has no endpoint of %s, so staying local says nothing", p.From, p.To)
		default:
			r = judge(p, v)
		}
		out = append(out, r.between(p.From, p.To).with("endpoints", endpoints))
	}
	return out
}

// zoned pairs each cluster that has several zones, by the topology or by its nodes, with itself.
func (w *World) zoned() []topology.Pair {
	return slices.DeleteFunc(w.within(), func(p topology.Pair) bool {
		declared := w.wanted(p.From)
		several := slices.ContainsFunc(declared, func(a topology.Locality) bool {
			return a.Zone != "" && slices.ContainsFunc(declared, func(b topology.Locality) bool { return b.Zone != "" && a != b })
		})
		return !several && len(w.Nodes[p.From].zones()) < 2
	})
}

// sorted divides endpoints by where they are, as seen by the caller in p.From. Where that is
// not known, its own cluster's are near.
func (w *World) sorted(p topology.Pair, endpoints []Endpoint) view {
	var v view
	for _, e := range endpoints {
		distance, ok := w.distance(p.From, e)
		beyond := ok && distance > 0
		switch {
		case e.Cluster == p.From && !beyond:
			v.near = append(v.near, e)
		case e.Cluster == p.To:
			v.far = append(v.far, e)
		case e.Cluster != p.From:
			continue
		}
		v.all = append(v.all, e)
	}
	return v
}

// distance is how far the caller in a cluster is from an endpoint, as Istio counts: 0 in its
// own zone, 1 in another of its region, 2 in another region. ok is false when it is not known.
func (w *World) distance(from string, e Endpoint) (distance int, ok bool) {
	here, known := w.callerAt(from)
	there, placed := w.endpointAt(e)
	switch {
	case here == there:
		distance = 0
	case here.Region == there.Region:
		distance = 1
	default:
		distance = 2
	}
	return distance, known && placed
}

// callerAt is the locality of a cluster's caller by the API.
func (w *World) callerAt(cluster string) (topology.Locality, bool) {
	return w.podAt(cluster, func(p ProbePod) bool { return p.Name == string(roleCaller) })
}

// endpointAt is the locality of an endpoint's pod by the API. A gateway stands for pods in
// several zones: in which of them, only the endpoint itself says.
func (w *World) endpointAt(e Endpoint) (topology.Locality, bool) {
	l, ok := w.podAt(e.Cluster, func(p ProbePod) bool { return !e.Gateway && p.Address == e.Address })
	if !ok && e.Gateway {
		for _, node := range w.Nodes[e.Cluster].Localities {
			if node == e.Locality {
				return node, true
			}
		}
	}
	return l, ok
}

// podAt is the locality of the node of a probe pod; that of all nodes where they have one.
func (w *World) podAt(cluster string, is func(ProbePod) bool) (topology.Locality, bool) {
	nodes := w.Nodes[cluster]
	if one, ok := nodes.locality(); ok {
		return one, true
	}
	for _, p := range w.Probes[cluster].Pods {
		if is(p) {
			l, ok := nodes.Localities[p.Node]
			return l, ok
		}
	}
	return topology.Locality{}, false
}

// distances are those of several endpoints; ok is false when one is not known.
func (w *World) distances(from string, endpoints []Endpoint) (all []int, ok bool) {
	for _, e := range endpoints {
		d, known := w.distance(from, e)
		if !known {
			return nil, false
		}
		all = append(all, d)
	}
	return all, true
}

func judgePriorities(w *World) []Result {
	return w.eachView(func(p topology.Pair, v view) Result {
		distances, ok := w.distances(p.From, v.all)
		if !ok {
			return unsure("where the endpoints of %s and %s are is not known", p.From, p.To)
		}
		order := func(a, b Endpoint) int { return a.Priority - b.Priority }
		last, first := slices.MaxFunc(v.near, order).Priority, slices.MinFunc(v.far, order).Priority
		follow := last == 0
		for i, a := range v.all {
			for j, b := range v.all {
				// The nearer is the earlier, and who is as near as another has its priority.
				follow = follow && (distances[i] < distances[j]) == (a.Priority < b.Priority)
			}
		}
		near, far := w.names(p)
		switch {
		case !follow:
			return fail("LOC003", "priorities in %s do not follow locality: %s has %d, %s has %d", p.From, near, last, far, first)
		case first == last:
			return pass("%s and %s are in one locality and share priority %d", near, far, last)
		}
		return pass("%s has priority %d, %s has %d", near, last, far, first)
	})
}

// names are how near and far of a pair are called: the clusters, or the zones of one.
func (w *World) names(p topology.Pair) (near, far string) {
	if zones := w.Nodes[p.From].zones(); p.From == p.To && len(zones) > 1 {
		return spelled(zones[0]), spelled(zones[1])
	}
	return p.From, p.To
}

// beyond counts the answers to a load that came from another zone of the caller's own cluster.
func (w *World) beyond(from string, load Load) int {
	here, ok := w.callerAt(from)
	n := 0
	for _, o := range load.Outcomes {
		there, placed := w.podAt(from, func(p ProbePod) bool { return p.UID == o.UID })
		ours := slices.ContainsFunc(w.Probes[from].Pods, func(p ProbePod) bool { return p.UID == o.UID })
		if ok && placed && ours && o.OK() && there != here {
			n += o.Count
		}
	}
	return n
}

func judgeLocal(w *World) []Result {
	return w.eachView(func(p topology.Pair, v view) Result {
		load := w.Loads[LoadKey{p.From, serviceLocal}]
		distances, ok := w.distances(p.From, v.far)
		beyond := w.beyond(p.From, load)
		local, away := load.Answers[p.From]-beyond, beyond
		for _, c := range w.Clusters {
			if c != p.From {
				away += load.Answers[c]
			}
		}
		left := load.Answers[p.To]
		if p.From == p.To {
			left = beyond
		}
		near, far := w.names(p)
		var r Result
		switch {
		case load.Problem != "" || load.Sent == 0:
			return unsure("requests from %s could not be sent: %s", p.From, or(load.Problem, "none was sent"))
		case !ok:
			r = unsure("where the endpoints of %s and %s are is not known", p.From, p.To)
		case slices.Contains(distances, 0):
			r = skip("%s and %s are in one locality: shared, not judged", near, far)
		case left > 0:
			r = fail("LOC004", "local traffic left %s while local was healthy: %d of %d answers came from %s", near, left, load.Sent, far)
		case local == load.Sent:
			r = pass("%d of %d answers were local to %s", local, load.Sent, near)
		case w.hindered(p.From) != "":
			r = unsure("%s", w.hindered(p.From))
		default:
			r = unsure("%d of %d answers were local to %s, %d came from elsewhere, %d were lost", local, load.Sent, near, away, load.Lost)
		}
		return r.evidence(load)
	})
}
