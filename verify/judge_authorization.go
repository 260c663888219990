// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"net/http"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// denied says whether a request was kept out by somebody, and not merely lost: 403 of the
// server's sidecar, a TLS alert, a reset or a closed connection, or 503 of the caller's own
// sidecar whose connection was refused (UF) or cut (UC). A time-out is never a denial. Nor is a
// refused connection of the caller itself: a sidecar takes every connection before it judges it,
// so there nobody listened, or a firewall answered, and neither says anything about Istio.
func denied(o probe.Outcome) bool {
	switch {
	case o.Status == http.StatusForbidden:
		return true
	case o.Status == http.StatusServiceUnavailable:
		return (strings.Contains(o.Detail, "upstream connect error") || strings.Contains(o.Detail, "reset reason")) && !late(o)
	case o.Status != 0:
		return false
	}
	return slices.Contains([]string{probe.ErrTLSAlert, probe.ErrReset, probe.ErrClosed}, o.Error)
}

// late says whether time was up before anybody had answered: the caller's own, or that of its
// sidecar, which says "reset reason: connection timeout" then.
func late(o probe.Outcome) bool {
	return o.Error == probe.ErrTimeout || o.Error == probe.ErrDNS ||
		o.Status == http.StatusServiceUnavailable && strings.Contains(o.Detail, "connection timeout")
}

// let says whether every request of a call passed and was answered from the cluster that it
// was for.
func (c Call) let(to string) bool {
	return len(c.Outcomes) > 0 && !slices.ContainsFunc(c.Outcomes, func(o probe.Outcome) bool { return !o.OK() }) &&
		len(c.Clusters) > 0 && !slices.ContainsFunc(c.Clusters, func(s string) bool { return s != to })
}

// reaches says whether a call got through to the cluster that it was for though not every request
// was answered in time: whoever lets one in keeps nobody out.
func (c Call) reaches(to string) bool {
	return Call{Outcomes: slices.DeleteFunc(slices.Clone(c.Outcomes), late), Clusters: c.Clusters}.let(to)
}

// eachCall judges one kind of call for some pairs.
func (w *World) eachCall(kind CallKind, over []topology.Pair, judge func(p topology.Pair, c Call) Result) []Result {
	var out []Result
	for _, p := range over {
		c, ok := w.Calls[CallKey{p.From, p.To, kind}]
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case c.Skipped != "":
			r = skip("%s", c.Skipped)
		case !ok || c.Problem != "" || len(c.Outcomes) == 0:
			r = unsure("the call from %s to %s could not be made: %s", p.From, p.To, or(c.Problem, "none was made"))
		case !slices.ContainsFunc(c.Outcomes, probe.Outcome.OK) && w.hindered(p.From, p.To) != "":
			r = unsure("%s", w.hindered(p.From, p.To)).with("target", c.Target).with("outcomes", described(c.Outcomes))
		default:
			r = judge(p, c).with("target", c.Target).with("outcomes", described(c.Outcomes))
		}
		out = append(out, r.between(p.From, p.To))
	}
	return out
}

// within pairs each cluster with itself.
func (w *World) within() []topology.Pair {
	var all []topology.Pair
	for _, c := range w.Clusters {
		all = append(all, topology.Pair{From: c, To: c})
	}
	return all
}

func judgeAllowed(w *World) []Result {
	return w.eachCall(CallAllowed, w.pairs(), func(p topology.Pair, c Call) Result {
		return expectLet(p, c, "the allowed identity")
	})
}

func judgeIngress(w *World) []Result {
	return w.eachCall(CallIngress, w.pairs(), func(p topology.Pair, c Call) Result {
		entered := w.Calls[CallKey{p.From, p.From, CallEntered}]
		if slices.ContainsFunc(c.Outcomes, prohibited) && entered.barred() {
			return unsure("the ingress gateway of %s denies what the probes let everybody do, so that its own identity is let in can not be seen: %s%s",
				p.From, described(entered.Outcomes), w.guards(p.From, topology.IngressSelector))
		}
		return expectLet(p, c, "the ingress gateway")
	})
}

// expectLet tells a denial from a broken way: AUZ001 is for policies only. One that loses some
// requests is neither whole nor broken: it may be the machine that is slow.
func expectLet(p topology.Pair, c Call, who string) Result {
	if c.let(p.To) {
		return pass("%s of %s was let into %s", who, p.From, p.To)
	}
	if slices.ContainsFunc(c.Outcomes, prohibited) {
		return fail("AUZ001", "%s of %s was denied at the workload in %s: %s", who, p.From, p.To, described(c.Outcomes))
	}
	if c.reaches(p.To) {
		return unsure("%s of %s was let into %s, but not every request was answered in time: %s", who, p.From, p.To, described(c.Outcomes))
	}
	return fail("NET008", "%s of %s did not get through to %s: %s", who, p.From, p.To, described(c.Outcomes))
}

// expectDenied judges a call that policy must refuse; it says something only when its
// allowed twin got through.
func expectDenied(p topology.Pair, c, twin Call, who string) Result {
	for _, o := range c.Outcomes {
		if o.OK() {
			return fail("AUZ002", "%s of %s was let into %s: %s", who, p.From, p.To, described(c.Outcomes))
		}
	}
	if !twin.reaches(p.To) {
		return unsure("%s of %s was not let into %s, but neither was who is allowed: %s", who, p.From, p.To, described(twin.Outcomes))
	}
	for _, o := range c.Outcomes {
		if !denied(o) {
			return unsure("%s of %s was not answered by %s, which is no denial: %s", who, p.From, p.To, described(c.Outcomes))
		}
	}
	return pass("%s of %s was kept out of %s: %s", who, p.From, p.To, described(c.Outcomes)).with("twin", described(twin.Outcomes))
}

func judgeDenied(w *World) []Result {
	return w.eachCall(CallDenied, w.pairs(), func(p topology.Pair, c Call) Result {
		return expectDenied(p, c, w.Calls[CallKey{p.From, p.To, CallAllowed}], "another identity")
	})
}

func judgePlaintext(w *World) []Result {
	return w.eachCall(CallStrict, w.within(), func(p topology.Pair, c Call) Result {
		return expectDenied(p, c, w.Calls[CallKey{p.From, p.To, CallPermissive}], "plaintext from outside the mesh")
	})
}

func judgeDirect(w *World) []Result {
	return w.eachCall(CallDirect, w.pairs(), func(p topology.Pair, c Call) Result {
		return expectDenied(p, c, w.Calls[CallKey{p.From, p.To, CallIngress}], "a direct caller")
	})
}
