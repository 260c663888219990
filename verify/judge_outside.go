// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// entry is one call of an outside client through the ingress gateway of one cluster.
type entry struct {
	client string
	// gateway is whose ingress gateway it is, to whose echo is meant.
	gateway, to string
}

func (e entry) key(kind CallKind) OutsideKey { return OutsideKey{e.client, e.gateway, e.to, kind} }

// own says whether the echo is behind the gateway in the same cluster.
func (e entry) own() bool { return e.gateway == e.to }

// placed says what a result is about: an echo as outsiders see it, or a pair.
func (e entry) placed(r Result) Result {
	if e.own() {
		return r.between("", e.to, e.client)
	}
	return r.between(e.gateway, e.to, e.client)
}

// eachEntry judges one kind of call of every outside client towards the echoes that targets
// names for each ingress gateway. The judgement is given a call that was made.
func (w *World) eachEntry(kind CallKind, targets func(gateway string) []string, judge func(entry, Call) Result) []Result {
	var out []Result
	for _, gateway := range w.Clusters {
		for _, to := range targets(gateway) {
			none := entry{"", gateway, to}
			switch {
			case w.Topology.Cluster(gateway).Ingress == nil:
				out = append(out, none.placed(skip("%s has no ingress gateway in the topology", gateway)))
				continue
			case w.Outside == nil && len(w.OutsideClients) == 0:
				out = append(out, none.placed(unsure("nobody looked whether there is a client outside of the mesh")))
				continue
			case len(w.OutsideClients) == 0:
				out = append(out, none.placed(skip("there is no client outside of the mesh")))
				continue
			}
			for _, client := range w.OutsideClients {
				e := entry{client, gateway, to}
				out = append(out, e.placed(w.judgeEntry(e, kind, judge)))
			}
		}
	}
	return out
}

func (w *World) judgeEntry(e entry, kind CallKind, judge func(entry, Call) Result) Result {
	c, ok := w.Outside[e.key(kind)]
	switch {
	case c.Skipped != "":
		return skip("%s", c.Skipped)
	case w.notReady(e.gateway, e.to) != "":
		return unsure("%s", w.notReady(e.gateway, e.to))
	case !ok || c.Problem != "" || len(c.Outcomes) == 0:
		return unsure("the %s could not send its request towards %s: %s", e.client, e.gateway, or(c.Problem, "none was sent"))
	case !slices.ContainsFunc(c.Outcomes, probe.Outcome.OK) && w.hindered(e.gateway, e.to) != "":
		return unsure("%s", w.hindered(e.gateway, e.to)).seen(e, c)
	}
	r := judge(e, c)
	if r.Evidence["see"] != nil {
		return r // it was judged by another call
	}
	return r.seen(e, c)
}

// seen adds a call to the evidence.
func (r Result) seen(e entry, c Call) Result {
	return r.with("target", c.Target).with("outcomes", described(c.Outcomes)).with("see", c.see(e.client))
}

// see is the request as anybody can send it. The routes go with the run: afterwards a gateway
// that can be reached answers 404.
func (c Call) see(client string) string {
	line := "curl -i " + c.Target
	if c.Host != "" {
		line = fmt.Sprintf("curl -i -H 'Host: %s' %s", c.Host, c.Target)
	}
	if client == OutsideHost {
		return line
	}
	return line + " from the " + client
}

// just is the one target of checks that concern the gateway's own cluster.
func just(gateway string) []string { return []string{gateway} }

func judgeOutsideAnswers(w *World) []Result {
	return w.eachEntry(CallIngress, just, func(e entry, c Call) Result {
		o := c.Outcomes[0]
		switch {
		case c.let(e.to):
			return pass("the %s was answered by %s through its ingress gateway", e.client, e.to)
		case o.Status == http.StatusForbidden && c.Foreign == "" && w.Outside[e.key(CallEntered)].barred():
			return unsure("the ingress gateway of %s denies the %s what the probes let everybody do: %s%s", e.to, e.client, described(c.Outcomes), w.guards(e.to, topology.IngressSelector))
		case o.Status == http.StatusForbidden && c.Foreign == "":
			return fail("AUZ001", "the %s was denied through the ingress gateway of %s: %s", e.client, e.to, described(c.Outcomes))
		case o.Status == http.StatusForbidden:
			return fail("NET010", "the %s was denied on its way to the ingress gateway of %s by %s, which is no Envoy", e.client, e.to, c.Foreign)
		case o.OK():
			return fail("NET010", "the %s was answered at %s by something that is no probe of %s", e.client, c.Target, e.to)
		case o.Status != 0:
			return fail("NET010", "the %s was answered at %s, but not by a probe of %s: %s", e.client, c.Target, e.to, described(c.Outcomes))
		}
		return fail("NET010", "the %s does not reach the ingress gateway of %s at %s: %s", e.client, e.to, c.Target, described(c.Outcomes))
	})
}

// judgeOutsidePeer judges what the ingress gateway knows of other clusters; it says something
// only of peers that the gateway's control plane shall discover.
func judgeOutsidePeer(w *World) []Result {
	return w.eachEntry(CallIngress, w.peers, func(e entry, c Call) Result {
		own := w.Outside[entry{e.client, e.gateway, e.gateway}.key(CallIngress)]
		code, words := w.obstacle(e.gateway, e.to)
		switch {
		case c.let(e.to):
			return pass("the %s was answered by %s through the ingress gateway of %s", e.client, e.to, e.gateway)
		case !own.let(e.gateway):
			return unsure("the %s was not answered by %s through the ingress gateway of %s, and not by %s itself either", e.client, e.to, e.gateway, e.gateway)
		case c.Outcomes[0].Status == http.StatusForbidden:
			return fail("AUZ001", "the %s was denied by %s through the ingress gateway of %s: %s", e.client, e.to, e.gateway, described(c.Outcomes))
		case code != "":
			return fail(code, "the %s was not answered by %s through the ingress gateway of %s: %s", e.client, e.to, e.gateway, words)
		case !w.apart(e.gateway, e.to):
			code = "NET013"
		default:
			code = "NET008"
		}
		return fail(code, "the %s was answered by %s through the ingress gateway of %s, and not by %s: %s", e.client, e.gateway, e.gateway, e.to, described(c.Outcomes))
	})
}

func judgeOutsideDenied(w *World) []Result {
	return w.eachEntry(CallDenied, just, func(e entry, c Call) Result {
		o, twin := c.Outcomes[0], w.Outside[e.key(CallIngress)]
		switch {
		case o.OK():
			return fail("AUZ002", "the %s was let into a path of %s that its ingress gateway may not call: %s", e.client, e.to, described(c.Outcomes))
		case !twin.let(e.to):
			return unsure("the %s was not let into %s, but not where it is allowed either: %s", e.client, e.to, described(twin.Outcomes))
		case o.Status != http.StatusForbidden:
			return unsure("the %s was not answered by %s, which is no denial: %s", e.client, e.to, described(c.Outcomes))
		case c.Foreign != "":
			return unsure("the %s was denied by %s, which is no Envoy", e.client, c.Foreign)
		}
		return pass("the %s was kept out of %s: %s", e.client, e.to, described(c.Outcomes)).with("twin", described(twin.Outcomes))
	})
}

// judgeOutsideDirect judges plaintext to the pod itself, where a client gets that far: the
// port of the same pod that answers plaintext says so.
func judgeOutsideDirect(w *World) []Result {
	return w.eachEntry(CallPermissive, just, func(e entry, c Call) Result {
		if !c.let(e.to) {
			return skip("the %s does not reach the pods of %s, so that it is kept out says nothing: %s", e.client, e.to, described(c.Outcomes))
		}
		direct := w.Outside[e.key(CallStrict)]
		if direct.Problem != "" || len(direct.Outcomes) == 0 {
			return unsure("the %s could not send its request straight to %s: %s", e.client, e.to, or(direct.Problem, "none was sent"))
		}
		o, r := direct.Outcomes[0], pass("plaintext of the %s straight to %s was refused: %s", e.client, e.to, described(direct.Outcomes))
		switch {
		case o.OK():
			r = fail("AUZ002", "plaintext of the %s straight to %s was let in under STRICT: %s", e.client, e.to, described(direct.Outcomes))
		case !denied(o):
			r = unsure("plaintext of the %s straight to %s was not answered, which is no denial: %s", e.client, e.to, described(direct.Outcomes))
		}
		return r.seen(e, direct).with("twin", described(c.Outcomes))
	})
}
