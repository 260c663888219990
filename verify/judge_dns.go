// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// absent says whether the answer was that there is no such name: no answer is none.
func (n Name) absent() bool { return len(n.Addresses) == 0 && n.Error == probe.ErrDNS }

// eachName judges every ordered pair by the service of one kind that lives in the second.
func (w *World) eachName(alone bool, missing func(p topology.Pair, n Name) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		n, ok := w.Names[NameKey{p.From, p.To, alone}]
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case !ok || n.Problem != "":
			r = unsure("the caller of %s could not look a service of %s up: %s", p.From, p.To, or(n.Problem, "it was not asked to"))
		case n.absent():
			r = missing(p, n)
		case len(n.Addresses) == 0:
			r = unsure("the caller of %s got no answer when it looked %s up: %s (%s)", p.From, n.Host, or(n.Error, "nothing"), clip(n.Detail))
		default:
			r = w.judgeNamed(p, n)
		}
		out = append(out, r.between(p.From, p.To).with("host", n.Host).with("addresses", n.Addresses).with("outcomes", described(n.Call.Outcomes)).
			with("dnsProxying", n.Captured).with("see", fmt.Sprintf(
			"kubectl --context %s get service -A --field-selector metadata.name=%s; from a pod there: getent hosts %s", w.Topology.Context(p.From), strings.SplitN(n.Host, ".", 2)[0], n.Host)))
	}
	return out
}

// judgeNamed judges the requests to a name that was found.
func (w *World) judgeNamed(p topology.Pair, n Name) Result {
	code, words := w.obstacle(p.From, p.To)
	at := strings.Join(n.Addresses, ", ")
	switch {
	case n.Call.Problem != "" || len(n.Call.Outcomes) == 0:
		return unsure("%s was found at %s and could not be called: %s", n.Host, at, or(n.Call.Problem, "no request was sent"))
	case n.Call.let(p.To):
		return pass("the caller of %s found %s at %s, and %s answered", p.From, n.Host, at, p.To)
	case n.Call.reaches(p.To):
		return unsure("the caller of %s found %s at %s, but not every request was answered in time: %s", p.From, n.Host, at, described(n.Call.Outcomes))
	case code == "" && w.hindered(p.From, p.To) != "":
		return unsure("%s", w.hindered(p.From, p.To))
	case code == "" && !w.apart(p.From, p.To):
		code = "NET013"
	}
	return fail(or(code, "NET008"), "the caller of %s found %s at %s, and %s did not answer: %s", p.From, n.Host, at, p.To, or(words, described(n.Call.Outcomes)))
}

func judgeStub(w *World) []Result {
	return w.eachName(false, func(p topology.Pair, n Name) Result {
		return fail("FED014", "the caller of %s did not find %s though a Service of that name is there: %s", p.From, n.Host, clip(n.Detail))
	})
}

func judgeProxied(w *World) []Result {
	return w.eachName(true, func(p topology.Pair, n Name) Result {
		switch {
		case n.Captured:
			return fail("FED014", "the caller of %s did not find %s, which exists in %s only, though its sidecar takes DNS over: %s", p.From, n.Host, p.To, clip(n.Detail))
		case w.Topology.Spec.Istio.DNSProxying:
			return fail("FED014", "the caller of %s did not find %s, which exists in %s only: its sidecar does not take DNS over, as spec.istio.dnsProxying says",
				p.From, n.Host, p.To)
		}
		return skip("without DNS proxying a service of %s is found in %s by a Service of the same name there, as dns-stub shows; spec.istio.dnsProxying: true does without", p.To, p.From)
	})
}
