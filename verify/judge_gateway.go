// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// refused names the kind of refusal by which a connection of an outsider ended, "" when it was
// none: a connection that nobody took, or that got no answer, was not refused by the mesh.
func refused(o probe.Outcome) string {
	switch {
	case o.Status == http.StatusForbidden:
		return "status 403"
	case o.Status != 0:
		return ""
	case o.Error == probe.ErrTLSAlert:
		_, alert, _ := strings.Cut(o.Detail, "remote error: tls: ")
		return "TLS alert: " + or(alert, "unnamed")
	case o.Error == probe.ErrReset:
		return "connection reset"
	case o.Error == probe.ErrClosed:
		return "connection closed"
	}
	return ""
}

// eachKnocked judges every ordered pair that has a gateway between them.
func (w *World) eachKnocked(variants []KnockKind, judge func(p topology.Pair, k Knocks, kind KnockKind) Result) []Result {
	var out []Result
	for _, p := range w.pairs() {
		k, ok := w.Knocks[p]
		for _, kind := range variants {
			var r Result
			switch {
			case !w.apart(p.From, p.To):
				r = moot("%s and %s share a network, so no gateway stands between them", p.From, p.To)
			case w.notReady(p.From, p.To) != "":
				r = unsure("%s", w.notReady(p.From, p.To))
			case !ok || k.Problem != "":
				r = unsure("the gateway of %s could not be tried from %s: %s", p.To, p.From, or(k.Problem, "it was not tried"))
			default:
				r = judge(p, k, kind).with("addresses", k.Addresses)
			}
			out = append(out, r.between(p.From, p.To, string(kind)))
		}
	}
	return out
}

// silent are the addresses through which no answer came to the caller. Of a hostname it is not
// known which address Envoy has made of it.
func (k Knocks) silent() []string {
	return slices.DeleteFunc(slices.Clone(k.Addresses), func(a string) bool { return k.Through[a] > 0 || net.ParseIP(a) == nil })
}

func judgeGatewayAllowed(w *World) []Result {
	return w.eachKnocked([]KnockKind{""}, func(p topology.Pair, k Knocks, _ KnockKind) Result {
		var r Result
		code, words := w.obstacle(p.From, p.To)
		silent := k.silent()
		switch {
		case k.Twin.Problem != "" || len(k.Twin.Outcomes) == 0:
			r = unsure("the caller of %s could not call %s: %s", p.From, p.To, or(k.Twin.Problem, "no request was sent"))
		case !k.Twin.let(p.To) && code != "":
			r = fail(code, "the caller of %s did not get through to %s: %s: %s", p.From, p.To, words, described(k.Twin.Outcomes))
		case !k.Twin.let(p.To) && w.hindered(p.From, p.To) != "":
			r = unsure("%s", w.hindered(p.From, p.To))
		case !k.Twin.let(p.To):
			r = expectLet(p, k.Twin, "the caller")
		case k.Counted == 0:
			r = unsure("the caller of %s was answered by %s, whose application counted no request", p.From, p.To)
		case len(silent) > 0:
			r = fail("NET008", "the caller of %s was answered by %s, but never through %s", p.From, p.To, strings.Join(silent, ", "))
		default:
			r = pass("the caller of %s passed through %d of %d addresses of the gateway of %s", p.From, len(k.Addresses), len(k.Addresses), p.To)
		}
		return r.with("outcomes", described(k.Twin.Outcomes)).with("through", k.Through).with("counted", k.Counted)
	})
}

// allowed says why the allowed twin of a denial at an address did not pass, "" when it did.
func (k Knocks) allowed(p topology.Pair) string {
	switch {
	case !k.Twin.reaches(p.To):
		return or(k.Twin.Problem, described(k.Twin.Outcomes))
	case k.Counted == 0:
		return "the application counts nothing"
	case len(k.silent()) > 0:
		return "nothing came through " + strings.Join(k.silent(), ", ")
	}
	return ""
}

func judgeGatewayCertificate(w *World) []Result {
	return w.eachKnocked([]KnockKind{KnockNoCertificate, KnockForeignRoot}, func(p topology.Pair, k Knocks, kind KnockKind) Result {
		return k.judge(p, kind, "AUZ002", "the workload", func(c Knock) bool { return c.Served == k.Want })
	})
}

func judgeGatewayUnknown(w *World) []Result {
	return w.eachKnocked([]KnockKind{KnockUnknownSNI, KnockPlaintext}, func(p topology.Pair, k Knocks, kind KnockKind) Result {
		// A gateway that passes TLS on does not speak it: whoever sends an alert is behind it.
		return k.judge(p, kind, "NET015", "the gateway", func(c Knock) bool { return c.Served == "" && c.Outcome.Error != probe.ErrTLSAlert })
	})
}

// judge says whether all connections of one kind were refused by whom they should be.
func (k Knocks) judge(p topology.Pair, kind KnockKind, code, by string, right func(Knock) bool) Result {
	var kinds []string
	var seen []map[string]any
	var bad, lost *Result
	for _, c := range k.Calls[kind] {
		ended := or(refused(c.Outcome), ending(c.Outcome))
		seen = append(seen, map[string]any{"address": c.Address, "sni": c.SNI, "served": c.Served, "ended": ended, "reached": c.Reached})
		kinds = append(kinds, ended)
		var r Result
		switch {
		case c.Reached > 0:
			r = fail(code, "%s from %s came through %s to the application in %s", kind, p.From, c.Address, p.To)
		case c.Outcome.Status != 0 && refused(c.Outcome) == "":
			r = fail(code, "%s from %s was answered at %s by %s: %s", kind, p.From, c.Address, or(c.Served, "something before the workload"), ended)
		case c.Problem != "":
			r = unsure("%s from %s could not be tried at %s: %s", kind, p.From, c.Address, c.Problem)
		case refused(c.Outcome) == "":
			r = unsure("%s from %s was not refused at %s, it ended so: %s", kind, p.From, c.Address, ended)
		case right(c):
			continue
		case code == "NET015":
			r = fail(code, "%s from %s was passed on at %s to %s, which ended it: %s", kind, p.From, c.Address, or(c.Served, "something that speaks TLS"), ended)
		default:
			r = unsure("%s from %s was refused at %s before %s of %s was seen: %s", kind, p.From, c.Address, by, p.To, ended)
		}
		if r.Status == Fail && bad == nil {
			bad = &r
		}
		lost = &r
	}
	var r Result
	switch twin := k.allowed(p); {
	case bad != nil:
		r = *bad
	case len(kinds) == 0:
		r = unsure("%s from %s was not tried at the gateway of %s", kind, p.From, p.To)
	case twin != "":
		r = unsure("%s from %s was kept out of %s, but so was who is allowed: %s", kind, p.From, p.To, twin)
	case lost != nil:
		r = *lost
	default:
		slices.Sort(kinds)
		r = pass("%s from %s was refused by %s at %d of %d addresses of %s: %s", kind, p.From, by, len(k.Addresses), len(k.Addresses), p.To, strings.Join(slices.Compact(kinds), ", "))
	}
	return r.with("connections", seen).with("twin", described(k.Twin.Outcomes)).with("see", k.see(kind))
}

// see is how to make such a connection by hand.
func (k Knocks) see(kind KnockKind) string {
	calls := k.Calls[kind]
	switch {
	case len(calls) == 0:
		return ""
	case kind == KnockPlaintext:
		return fmt.Sprintf("from a pod without a sidecar: curl -sv http://%s/", calls[0].Address)
	}
	return fmt.Sprintf("from a pod without a sidecar: openssl s_client -connect %s -servername %s -alpn istio", calls[0].Address, calls[0].SNI)
}

func judgeGatewayPermissive(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		e, ok := w.Exposed[c]
		var r Result
		switch {
		case !w.Topology.CrossesNetworks(c):
			r = moot("no other network reaches %s", c)
		case !ok || e.Problem != "":
			r = unsure("what the gateway of %s passes on to could not be looked at: %s", c, or(e.Problem, "it was not looked at"))
		case len(e.Open) > 0:
			r = warn("AUZ008", "%d of %d ports of services of %s that other networks reach are PERMISSIVE: %s", len(e.Open), e.Ports, c, several(e.Open)).
				with("permissive", e.Open)
		case e.Ports == 0:
			r = skip("no service of %s but the probe's is behind its gateway", c)
		default:
			r = pass("%d ports of services of %s that other networks reach ask for a certificate (those of the probe aside)", e.Ports, c)
		}
		out = append(out, r.between("", c))
	}
	return out
}

// several names the first of some things.
func several(names []string) string {
	const shown = 5
	text := strings.Join(names[:min(len(names), shown)], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
