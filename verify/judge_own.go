// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// comparedWith is the evidence of another cluster, by its name: a level of its own, for a cluster may
// be called "ports".
const comparedWith = "comparedWith"

// sharedServices are the user's services that exist in more than one of the clusters, or why
// that could not be seen.
func (w *World) sharedServices() ([]string, string) {
	count := map[string]int{}
	for _, c := range w.Clusters {
		own, ok := w.Own[c]
		if !ok || own.Problem != "" {
			return nil, fmt.Sprintf("the Services of %s could not be listed: %s", c, or(own.Problem, "they were not looked at"))
		}
		for _, name := range own.Names {
			count[name]++
		}
	}
	return slices.DeleteFunc(sortedKeys(count), func(name string) bool { return count[name] < 2 }), ""
}

func judgeCovered(w *World) []Result {
	named := w.Topology.Spec.Services
	all, problem := w.sharedServices()
	looked := 0
	for _, name := range all {
		if slices.ContainsFunc(named, func(s topology.Service) bool { return s.Host == name }) {
			looked++
		}
	}
	switch {
	case problem != "":
		return []Result{unsure("%s", problem)}
	case len(named) == 0:
		return []Result{moot("covers probes only, 0 of %d shared services; spec.services names those to look at", len(all)).with("services", all)}
	}
	return []Result{pass("covers %d of %d shared services beside the probes", looked, len(all)).with("services", all)}
}

// eachOwn judges every named service in each cluster that it lives in.
func (w *World) eachOwn(judge func(s *topology.Service, c string, o OwnService) Result) []Result {
	var out []Result
	for i := range w.Topology.Spec.Services {
		s := &w.Topology.Spec.Services[i]
		for _, c := range w.serving(s) {
			own, ok := w.Own[c]
			o := own.Services[s.Host]
			var r Result
			switch {
			case !ok || own.Problem != "" || o.Problem != "":
				r = unsure("%s could not be looked at in %s: %s", s.Host, c, or(own.Problem, o.Problem, "it was not looked at"))
			case o.Absent:
				r = skip("%s has no Service %s, as services-ports says", c, s.Host)
			default:
				r = judge(s, c, o)
			}
			out = append(out, r.between("", c, s.Host))
		}
	}
	return out
}

// serving are the clusters among those that are judged that a service lives in.
func (w *World) serving(s *topology.Service) []string {
	return slices.DeleteFunc(w.Topology.ServedBy(s), func(c string) bool { return !slices.Contains(w.Clusters, c) })
}

func judgeOwnPorts(w *World) []Result {
	results := w.eachOwn(func(s *topology.Service, c string, o OwnService) Result {
		first := w.serving(s)[0]
		want := w.Own[first].Services[s.Host].Ports
		missing, more := without(want, o.Ports), without(o.Ports, want)
		switch {
		case len(want) == 0 || len(missing)+len(more) == 0:
			return pass("%s has the ports %s in %s", s.Host, strings.Join(o.Ports, ", "), c).with("ports", o.Ports)
		case len(missing) == 0:
			return fail("FED013", "%s has the port %s in %s and not in %s", s.Host, strings.Join(more, ", "), c, first).with("ports", o.Ports).with(comparedWith, map[string]any{first: want})
		}
		return fail("FED013", "%s has the ports %s in %s and %s in %s; endpoints are matched by the port's name", s.Host, strings.Join(o.Ports, ", "), c,
			strings.Join(want, ", "), first).with("ports", o.Ports).with(comparedWith, map[string]any{first: want})
	})
	for i, r := range results {
		if w.Own[r.To].Services[r.Variant].Absent {
			results[i] = fail("SVC001", "%s has no Service %s, which the topology says lives there", r.To, r.Variant).between(r.From, r.To, r.Variant)
		}
	}
	return results
}

// without is what the first list has and the second has not.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

func judgeOwnEndpoints(w *World) []Result {
	return w.eachOwn(func(s *topology.Service, c string, o OwnService) Result {
		if len(o.Ready) == 0 {
			return fail("SVC001", "%s has no ready endpoint in %s", s.Host, c)
		}
		return pass("%s has %d ready endpoints in %s", s.Host, len(o.Ready), c).with("addresses", o.Ready)
	})
}

func judgeOwnMTLS(w *World) []Result {
	return w.eachOwn(func(s *topology.Service, c string, o OwnService) Result {
		modes := strings.Join(o.Modes, " and ")
		var r Result
		switch {
		case o.Pods == 0:
			return unsure("no pod of %s in %s is known, so neither is its mode of mTLS", s.Host, c)
		case o.Sidecars < o.Pods && w.Topology.CrossesNetworks(c):
			r = fail("NET011", "%d of %d pods of %s in %s have no sidecar, so other networks do not reach them", o.Pods-o.Sidecars, o.Pods, s.Host, c)
		case o.Sidecars < o.Pods:
			r = warn("NET011", "%d of %d pods of %s in %s have no sidecar, so they are called in plaintext", o.Pods-o.Sidecars, o.Pods, s.Host, c)
		case slices.Contains(o.Modes, "DISABLE") && w.Topology.CrossesNetworks(c):
			r = fail("NET011", "mTLS is off for %s in %s (%s), so other networks do not reach it", s.Host, c, modes)
		default:
			r = pass("all %d pods of %s in %s have a sidecar, mTLS is %s", o.Pods, s.Host, c, or(modes, "not set for any port"))
		}
		return r.with("modes", o.Modes).with("pods", o.Pods).with("sidecars", o.Sidecars)
	})
}

func judgeOwnPolicies(w *World) []Result {
	return w.eachOwn(func(s *topology.Service, c string, o OwnService) Result {
		first := w.serving(s)[0]
		here, want := policyTexts(o.Policies), policyTexts(w.Own[first].Services[s.Host].Policies)
		var r Result
		switch missing, more := without(want, here), without(here, want); {
		case o.Pods == 0:
			return unsure("no pod of %s in %s is known, so neither are the policies that select it", s.Host, c)
		case w.Own[first].Services[s.Host].Pods > 0 && len(missing)+len(more) > 0:
			r = warn("AUZ006", "the policies of %s differ: %s in %s, %s in %s", s.Host, policyNames(here), c, policyNames(want), first).with(comparedWith, map[string]any{first: want})
		default:
			r = pass("policies that select %s in %s: %s", s.Host, c, policyNames(here))
		}
		return r.with("policies", here)
	})
}

// eachCaller judges every named service from each cluster to each other that it lives in, by what a
// proxy of the first knows. A pair without any has none to judge.
func (w *World) eachCaller(judge func(s *topology.Service, p topology.Pair, v OwnView) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		some := false
		for i := range w.Topology.Spec.Services {
			s := &w.Topology.Spec.Services[i]
			if !slices.Contains(w.serving(s), p.To) {
				continue
			}
			some = true
			v, ok := w.Callers[OwnKey{p.From, s.Host}]
			var r Result
			if !ok || v.Problem != "" {
				r = unsure("what %s knows of %s could not be seen: %s", p.From, s.Host, or(v.Problem, "it was not looked at"))
			} else {
				r = judge(s, p, v).with("endpoints", v.Endpoints).with("proxy", v.In).with("outlierDetection", v.Outlier)
			}
			out = append(out, r.between(p.From, p.To, s.Host))
		}
		if !some && len(w.Topology.Spec.Services) > 0 {
			out = append(out, moot("no service of spec.services lives in %s", p.To).between(p.From, p.To))
		}
	}
	return out
}

// alike says whether the nodes of two clusters are all in one locality.
func (w *World) alike(p topology.Pair) bool {
	a, one := w.Nodes[p.From].locality()
	b, other := w.Nodes[p.To].locality()
	return one && other && a == b
}

func judgeOwnProbe(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		for i := range w.Topology.Spec.Services {
			s := &w.Topology.Spec.Services[i]
			if s.Probe == nil {
				continue
			}
			call := w.Callers[OwnKey{c, s.Host}].Call
			out = append(out, judgeOwnCall(w.notReady(c), w.hindered(c), s, c, call).between(c, "", s.Host).with("target", call.Target).with("outcomes", described(call.Outcomes)))
		}
	}
	return out
}

// judgeOwnCall wants every request to be answered by the service, whatever it says of the path.
func judgeOwnCall(notReady, hindered string, s *topology.Service, from string, call Call) Result {
	sent, answered := 0, 0
	for _, o := range call.Outcomes {
		sent += o.Count
		if o.Status >= 200 && o.Status < 400 {
			answered += o.Count
		}
	}
	denied := func(o probe.Outcome) bool {
		return o.Status == http.StatusForbidden || o.Status == http.StatusUnauthorized
	}
	switch {
	case notReady != "":
		return unsure("%s", notReady)
	case call.Problem != "" || sent == 0:
		return unsure("%s could not be called from %s: %s", s.Host, from, or(call.Problem, "no request was sent"))
	case answered == 0 && hindered != "":
		return unsure("%s", hindered)
	case answered == sent:
		return pass("%d of %d requests from %s were answered by %s", answered, sent, from, s.Host)
	case !slices.ContainsFunc(call.Outcomes, func(o probe.Outcome) bool { return !denied(o) }):
		return unsure("%s lets verify's caller not in, as it may: %s", s.Host, described(call.Outcomes))
	}
	return fail("SVC002", "%d of %d requests from %s were not answered by %s: %s", sent-answered, sent, from, s.Host, described(call.Outcomes))
}
