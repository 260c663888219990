// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/topology"
)

// judgeOwnCallers holds the policies for a service against the identities of its callers.
func judgeOwnCallers(w *World) []Result {
	return w.eachOwn(func(s *topology.Service, c string, o OwnService) Result {
		switch {
		case len(s.Callers) == 0:
			return skip("the topology names no callers of %s", s.Host)
		case len(o.Workloads) == 0:
			return unsure("no pod of %s in %s is known, so neither is whom it lets in", s.Host, c)
		}
		_, namespace, _ := strings.Cut(s.Host, ".")
		words, worst := map[truth][]string{}, yes
		for _, caller := range s.Callers {
			by := identity{trustDomain: w.TrustDomain, untold: slices.Contains(o.Modes, "DISABLE")}
			by.namespace, by.account, _ = strings.Cut(caller, "/")
			is, why := o.admits(namespace, by)
			words[is] = append(words[is], fmt.Sprintf("%s (%s)", caller, why))
			worst = min(worst, is)
		}
		var r Result
		switch all := strings.Join(words[worst], ", "); worst {
		case no:
			r = fail("AUZ001", "%s in %s keeps out %s", s.Host, c, all)
		case perhaps:
			r = warn("", "whether %s in %s lets in its callers depends on the request: %s", s.Host, c, all)
		default:
			r = pass("%s in %s lets in %s", s.Host, c, all)
		}
		return r.with("policies", policyTexts(o.Policies))
	})
}

// admits says what the least of the pods behind a service says to a caller.
func (o OwnService) admits(namespace string, by identity) (truth, string) {
	worst, words := yes, ""
	for i, labels := range o.Workloads {
		if is, why := admitted(o.Policies, namespace, labels, by); i == 0 || is < worst {
			worst, words = is, why
		}
	}
	if by.untold && worst == perhaps {
		words += ", and without mTLS nobody says who calls"
	}
	return worst, words
}

func judgeOwnReach(w *World) []Result {
	return w.eachCaller(func(s *topology.Service, p topology.Pair, v OwnView) Result {
		theirs := slices.DeleteFunc(slices.Clone(v.Endpoints), func(e Endpoint) bool { return e.Cluster != p.To })
		taking := slices.DeleteFunc(slices.Clone(theirs), func(e Endpoint) bool { return !e.Healthy })
		if hidden := w.hidden(s, p.From, v.Callers); len(hidden) > 0 {
			return fail("FED018", "%s does not know %s: the Service is exported to %s only", strings.Join(hidden, ", "), s.Host, strings.Join(w.exportOf(s, p.From), ", "))
		}
		if len(taking) > 0 {
			return pass("%s has %s for %s", v.In, places(taking), s.Host)
		}
		if !v.Known && len(w.hidden(s, p.From, []string{v.In})) > 0 {
			return unsure("no caller of %s has a proxy in %s, and verify's own can not stand in for it: the Service is exported to %s only", s.Host, p.From, strings.Join(w.exportOf(s, p.From), ", "))
		}
		code, words := w.unreached(s, p, v, len(theirs) > 0)
		return fail(code, "%s has no endpoint of %s for %s: %s", v.In, p.To, s.Host, words)
	})
}

// unreached says why a caller has no endpoint of a cluster that takes traffic.
func (w *World) unreached(s *topology.Service, p topology.Pair, v OwnView, unhealthy bool) (code, words string) {
	o := w.Own[p.To].Services[s.Host]
	code, words = w.obstacle(p.From, p.To)
	switch {
	case code != "":
		return code, words
	case unhealthy:
		return "FED011", "its proxy holds what it has of it for unhealthy"
	case len(o.Ready) == 0:
		return "SVC001", "it has no ready endpoint there"
	case o.Pods > 0 && (o.Sidecars == 0 || slices.Equal(o.Modes, []string{"DISABLE"})) && w.apart(p.From, p.To):
		return "NET011", "no pod there takes mTLS"
	case !slices.Equal(o.Ports, w.Own[p.From].Services[s.Host].Ports) && !w.Own[p.From].Services[s.Host].Absent:
		return "FED013", "its ports are others there"
	case !v.Known:
		return "FED011", "its proxy does not know the service"
	}
	return "FED011", "its endpoints did not reach the proxy"
}

// exportOf says which namespaces of a cluster know a service, none when that is not known: istiod goes by
// the Service of its own cluster, and by that of some other where it has none.
func (w *World) exportOf(s *topology.Service, c string) []string {
	if primary := w.Topology.Primary(c); slices.Contains(w.Clusters, primary) {
		own := w.Own[primary]
		if o := own.Services[s.Host]; own.Problem != "" || o.Problem != "" || !o.Absent {
			return o.ExportTo
		}
	}
	var all [][]string
	for _, from := range w.serving(s) {
		if o := w.Own[from].Services[s.Host]; !o.Absent {
			all = append(all, o.ExportTo)
		}
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(to []string) bool { return !slices.Equal(to, all[0]) }) {
		return nil
	}
	return all[0]
}

// hidden are, of callers by namespace and name, those in whose namespace a service is not known.
func (w *World) hidden(s *topology.Service, c string, callers []string) []string {
	_, owner, _ := strings.Cut(s.Host, ".")
	return slices.DeleteFunc(slices.Clone(callers), func(caller string) bool {
		namespace, _, _ := strings.Cut(caller, "/")
		return exported(w.exportOf(s, c), owner, namespace)
	})
}

func judgeOwnFailover(w *World) []Result {
	return w.eachCaller(func(s *topology.Service, p topology.Pair, v OwnView) Result {
		var near, far []int
		for _, e := range v.Endpoints {
			switch e.Cluster {
			case p.From:
				near = append(near, e.Priority)
			case p.To:
				far = append(far, e.Priority)
			}
		}
		_, rule := w.ejects(s, p.From, v.In)
		switch {
		case !s.Failover:
			return skip("the topology does not ask %s for failover; outlier detection in its callers: %s", s.Host, or(v.Outlier, "none"))
		case v.Outlier == "":
			return fail("LOC002", "no outlier detection reaches %s for %s, so nothing fails over: %s", v.In, s.Host, rule).with("rule", rule)
		}
		if r, wrong := w.others(s, p.From, v); wrong {
			return r
		}
		switch {
		case len(near) == 0 || len(far) == 0:
			return skip("%s of %s is not in %s and %s at once as %s sees it, so there is nothing to fail over between", s.Host, v.In, p.From, p.To, v.In)
		case w.alike(p):
			return skip("%s and %s are in one locality: shared, not judged", p.From, p.To)
		case slices.Min(far) <= slices.Min(near):
			return fail("LOC003", "priorities in %s do not follow locality: %s has %d, %s has %d for %s", v.In, p.From, slices.Min(near), p.To, slices.Min(far), s.Host)
		}
		return pass("%s tries %s first (priority %d) and then %s (%d) for %s", v.In, p.From, slices.Min(near), p.To, slices.Min(far), s.Host).with("rule", rule)
	})
}

// others judges the callers whose proxy was not asked, by the DestinationRules that reach their
// namespace.
func (w *World) others(s *topology.Service, c string, v OwnView) (Result, bool) {
	elsewhere := slices.DeleteFunc(slices.Clone(v.Callers), func(caller string) bool { return sameNamespace(caller, v.In) })
	if problem := or(w.Own[c].Problem, w.Own[c].Services[s.Host].Problem); problem != "" && len(elsewhere) > 0 {
		return unsure("whether outlier detection for %s reaches %s could not be seen: %s", s.Host, strings.Join(elsewhere, ", "), problem), true
	}
	worst, words := yes, ""
	for _, caller := range elsewhere {
		if is, why := w.ejects(s, c, caller); is < worst {
			worst, words = is, caller+": "+why
		}
	}
	switch worst {
	case no:
		return fail("LOC002", "outlier detection for %s reaches %s and not %s", s.Host, v.In, words).with("rule", words), true
	case perhaps:
		return warn("", "whether outlier detection for %s reaches all callers can not be told: %s", s.Host, words).with("rule", words), true
	}
	return Result{}, false
}

// ejects is what DestinationRules say of outlier detection to a caller, by its namespace and name.
func (w *World) ejects(s *topology.Service, c, caller string) (truth, string) {
	o := w.Own[c].Services[s.Host]
	if problem := or(w.Own[c].Problem, o.Problem); problem != "" {
		return perhaps, "which DestinationRule reaches it could not be seen: " + problem
	}
	namespace, _, _ := strings.Cut(caller, "/")
	return ejects(o.Rules, s.Host, namespace, cmp.Or(o.HTTP, o.First))
}

func sameNamespace(a, b string) bool {
	one, _, _ := strings.Cut(a, "/")
	other, _, _ := strings.Cut(b, "/")
	return one == other
}
