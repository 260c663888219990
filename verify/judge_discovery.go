// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"github.com/meshfed/meshfed/topology"
)

// obstacle is the earliest known reason why requests do not get from one cluster to
// another: files and API objects before control planes before gateways. Empty when none is
// known.
func (w *World) obstacle(from, to string) (code, words string) {
	primary := w.Topology.Primary(from)
	control, asked := w.Controls[primary]
	gateway, looked := w.Gateways[to]
	// An istiod that does not read the caller's own cluster serves it nothing.
	for _, peer := range []string{from, to} {
		if !asked || control.Problem != "" || !slices.Contains(w.peers(primary), peer) {
			continue
		}
		if control.Secrets[peer] == "" {
			return "FED001", fmt.Sprintf("%s has no remote secret for %s", primary, peer)
		}
		for _, replica := range control.Replicas {
			if replica.Problem == "" && replica.Peers[peer] != synced {
				return "FED010", fmt.Sprintf("%s is not synced in istiod replica %s of %s", peer, replica.Pod, primary)
			}
		}
	}
	if !looked || gateway.Problem != "" || !w.apart(from, to) {
		return "", ""
	}
	switch {
	case len(gateway.Addresses)+len(gateway.Hostnames) == 0:
		return "NET001", fmt.Sprintf("the east-west gateway of %s has no address", to)
	case len(gateway.Exposures) == 0:
		return "NET005", fmt.Sprintf("no Gateway exposes the services of %s", to)
	case gateway.ready() == 0:
		return "NET008", fmt.Sprintf("the east-west gateway of %s has no ready replica", to)
	}
	return "", ""
}

func judgeEndpoints(w *World) []Result {
	var out []Result
	for _, p := range pairs(w.Clusters) {
		endpoints := w.Views[p.From].Services[host(w.Namespace, serviceEven)]
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case w.unviewed(p.From) != "":
			r = unsure("%s", w.unviewed(p.From))
		case !w.Topology.Knows(p.From, p.To):
			r = w.judgeStranger(p, endpoints)
		default:
			r = w.judgeView(p, endpoints)
		}
		out = append(out, r.between(p.From, p.To).with("endpoints", endpoints).with("see", fmt.Sprintf(
			"istioctl --context %s -n %s proxy-config endpoint caller --cluster 'outbound|8080||%s'", w.Topology.Context(p.From), w.Namespace, host(w.Namespace, serviceEven))))
	}
	return out
}

// judgeView judges the endpoints of p.To among those that the caller in p.From has.
func (w *World) judgeView(p topology.Pair, endpoints []Endpoint) Result {
	theirs := slices.DeleteFunc(slices.Clone(endpoints), func(e Endpoint) bool { return e.Cluster != p.To })
	apart := w.apart(p.From, p.To)
	for _, e := range theirs {
		switch {
		case apart && !e.Gateway:
			return fail("NET004", "proxies in %s receive the pod address %s of %s instead of its gateway", p.From, e.Address, p.To)
		case apart && e.Port != topology.PortCrossNetwork:
			return fail("NET004", "the caller in %s has the gateway of %s on port %d, not %d", p.From, p.To, e.Port, topology.PortCrossNetwork)
		}
	}
	taking := slices.DeleteFunc(slices.Clone(theirs), func(e Endpoint) bool { return !e.Healthy })
	if len(taking) > 0 {
		return pass("the caller in %s has %s", p.From, places(taking))
	}
	code, words := w.obstacle(p.From, p.To)
	if len(theirs) > 0 {
		return fail(or(code, "FED011"), "the caller in %s has %s, and its Envoy sends nothing there: %s", p.From, places(theirs),
			or(words, "none of it is healthy"))
	}
	if code == "" && apart {
		code, words = "NET003", fmt.Sprintf("istiod in %s knows no gateway for network %s", p.From, w.network(p.To))
	}
	if code == "" {
		code, words = "FED011", "its endpoints did not reach the proxy"
	}
	return fail(code, "the caller in %s has no endpoint of %s: %s", p.From, p.To, words)
}

// judgeStranger judges that the caller in p.From has no endpoint of p.To, which spec.discovery
// does not let it know.
func (w *World) judgeStranger(p topology.Pair, endpoints []Endpoint) Result {
	theirs := slices.DeleteFunc(slices.Clone(endpoints), func(e Endpoint) bool { return e.Cluster != p.To })
	if len(theirs) == 0 {
		return pass("the caller in %s has no endpoint of %s, which spec.discovery leaves out", p.From, p.To)
	}
	why := "istiod has not forgotten it"
	if secret := w.Controls[w.Topology.Primary(p.From)].Secrets[p.To]; secret != "" {
		why = "there is a remote secret " + secret
	}
	return fail("FED012", "the caller in %s has %s, which spec.discovery leaves out: %s", p.From, places(theirs), why)
}

// places says where endpoints are, "10.89.0.201:15443 of east".
func places(endpoints []Endpoint) string {
	text := ""
	for i, e := range endpoints {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s:%d of %s", e.Address, e.Port, or(e.Cluster, "an unknown place"))
	}
	return text
}

func judgeProxies(w *World) []Result {
	var out []Result
	for _, c := range w.Clusters {
		v, ok := w.Views[c]
		var r Result
		switch {
		case len(v.Astray) > 0:
			r = fail("NET004", "%d endpoints in %d proxies of %s are pods of another network", len(v.Astray), v.Proxies, c).with("astray", v.Astray)
		case !ok || v.Proxies == 0:
			r = unsure("no proxy of %s could be read: %s", c, or(v.Problem, "none was looked at"))
		case len(v.Unread) > 0:
			r = unsure("%d of %d proxies of %s could not be read", len(v.Unread), v.Total, c).with("unread", v.Unread)
		default:
			r = pass("%d of %d proxies of %s looked at: no pod of another network", v.Proxies, v.Total, c)
		}
		out = append(out, r.between(c, ""))
	}
	return out
}

func judgeAnswers(w *World) []Result {
	var out []Result
	for _, p := range w.pairs() {
		load := w.Loads[LoadKey{p.From, serviceEven}]
		n := load.Answers[p.To]
		code, words := w.obstacle(p.From, p.To)
		var r Result
		switch {
		case w.notReady(p.From, p.To) != "":
			r = unsure("%s", w.notReady(p.From, p.To))
		case load.Problem != "" || load.Sent == 0:
			r = unsure("requests from %s could not be sent: %s", p.From, or(load.Problem, "none was sent"))
		case n > 0:
			r = pass("%d of %d requests from %s were answered by %s", n, load.Sent, p.From, p.To)
		case code != "":
			r = fail(code, "no request from %s was answered by %s: %s", p.From, p.To, words)
		case w.hindered(p.From, p.To) != "":
			r = unsure("no request from %s was answered by %s, which says nothing: %s", p.From, p.To, w.hindered(p.From, p.To))
		case !w.apart(p.From, p.To):
			r = fail("NET013", "no request from %s was answered by %s", p.From, p.To)
		default:
			r = fail("NET008", "no request from %s was answered by %s through its gateway", p.From, p.To)
		}
		out = append(out, r.between(p.From, p.To).evidence(load))
	}
	return out
}

// evidence adds what a load saw.
func (r Result) evidence(l Load) Result {
	if l.Sent == 0 {
		return r
	}
	if l.LostBefore > 0 {
		r = r.with("lostBefore", l.LostBefore)
	}
	return r.with("host", l.Host).with("sent", l.Sent).with("answers", l.Answers).with("lost", l.Lost).
		with("unknown", l.Unknown).with("outcomes", described(l.Outcomes))
}
