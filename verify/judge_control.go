// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"
)

// synced is the status of a peer in istiod's /debug/clusterz that has all its objects.
const synced = "synced"

func judgeSecrets(w *World) []Result {
	var out []Result
	for _, from := range w.planes() {
		control := w.control(from)
		for _, to := range w.peers(from) {
			name, ok := control.Secrets[to]
			var r Result
			switch {
			case control.Problem != "":
				r = unsure("the remote secrets of %s could not be read: %s", from, control.Problem)
			case !ok:
				r = fail("FED001", "%s has no remote secret for %s", from, to)
			default:
				r = pass("%s has the remote secret %s", from, name)
			}
			out = append(out, r.between(from, to).with("see", fmt.Sprintf(
				"kubectl --context %s -n istio-system get secret -l istio/multiCluster=true", w.Topology.Context(from))))
		}
	}
	return out
}

func judgeSynced(w *World) []Result {
	var out []Result
	for _, from := range w.planes() {
		control := w.control(from)
		for _, to := range w.peers(from) {
			switch {
			case control.Problem != "":
				out = append(out, unsure("istiod in %s could not be asked: %s", from, control.Problem).between(from, to))
				continue
			case len(control.Replicas) == 0:
				out = append(out, fail("INS001", "istiod of revision %s in %s has no running replica", w.Topology.RevisionName(), from).between(from, to))
				continue
			}
			for _, replica := range control.Replicas {
				out = append(out, judgeReplica(control, replica, from, to).between(from, to, replica.Pod).with("peers", replica.Peers).with("see", fmt.Sprintf(
					"kubectl --context %s -n istio-system port-forward pod/%s 15014, then curl localhost:15014/debug/clusterz", w.Topology.Context(from), replica.Pod)))
			}
		}
	}
	return out
}

func judgeReplica(control Control, replica Istiod, from, to string) Result {
	state, known := replica.Peers[to]
	switch {
	case replica.Problem != "":
		return unsure("istiod replica %s in %s could not be asked: %s", replica.Pod, from, replica.Problem)
	case state == synced:
		return pass("istiod replica %s in %s has %s synced", replica.Pod, from, to)
	case control.Secrets[to] == "":
		return fail("FED001", "istiod replica %s in %s does not know %s: there is no remote secret", replica.Pod, from, to)
	case !known:
		state = "unknown"
	}
	return fail("FED010", "%s is %s in istiod replica %s of %s", to, state, replica.Pod, from)
}

func judgeAddress(w *World) []Result {
	return gateways(w, func(c string, g Gateway) Result {
		switch {
		case len(g.Addresses) > 0:
			return pass("the east-west gateway of %s has the address %s", c, strings.Join(g.Addresses, ", ")).with("addresses", g.Addresses)
		case len(g.Hostnames) > 0:
			return warn("NET002", "the east-west gateway of %s has only a hostname, %s", c, strings.Join(g.Hostnames, ", ")).with("hostnames", g.Hostnames)
		}
		return fail("NET001", "east-west gateway of %s has no address", c)
	})
}

func judgeExposure(w *World) []Result {
	return gateways(w, func(c string, g Gateway) Result {
		if len(g.Exposures) == 0 {
			return fail("NET005", "no AUTO_PASSTHROUGH server on 15443 in %s selects the east-west gateway", c)
		}
		return pass("%s exposes services on 15443 by %s", c, strings.Join(g.Exposures, ", "))
	})
}

// gateways judges the east-west gateway of each cluster that another network needs.
func gateways(w *World, judge func(c string, g Gateway) Result) []Result {
	var out []Result
	for _, c := range w.Clusters {
		if !w.Topology.CrossesNetworks(c) {
			out = append(out, skip("no cluster is in another network: no gateway is needed").between("", c))
			continue
		}
		g, ok := w.Gateways[c]
		r := unsure("the east-west gateway of %s could not be looked at: %s", c, or(g.Problem, "it was not looked at"))
		if ok && g.Problem == "" {
			r = judge(c, g)
		}
		out = append(out, r.between("", c).with("see", fmt.Sprintf(
			"kubectl --context %s -n istio-system get service,pod,gateway.networking.istio.io -l istio=eastwestgateway", w.Topology.Context(c))))
	}
	return out
}

func judgeSNI(w *World) []Result {
	var out []Result
	for _, r := range gateways(w, func(c string, g Gateway) Result {
		if g.ready() == 0 {
			return fail("NET008", "east-west gateway of %s has no ready replica, nothing answers on 15443", c)
		}
		return pass("")
	}) {
		if r.Status != Pass {
			out = append(out, r)
			continue
		}
		for _, replica := range w.Gateways[r.To].Replicas {
			if replica.Ready {
				out = append(out, judgeGatewayReplica(w, r.To, replica).between("", r.To, replica.Pod).with("see", fmt.Sprintf(
					"istioctl --context %s -n istio-system proxy-config cluster %s --port 8080", w.Topology.Context(r.To), replica.Pod)))
			}
		}
	}
	return out
}

func judgeGatewayReplica(w *World, c string, r GatewayReplica) Result {
	h := host(w.Namespace, serviceEven)
	switch {
	case r.Problem != "":
		return unsure("gateway replica %s in %s could not be asked: %s", r.Pod, c, r.Problem)
	case !r.Listening:
		return fail("NET005", "gateway replica %s in %s does not listen on 15443", r.Pod, c)
	case !w.Access.probes() && r.Passes == 0:
		return skip("gateway replica %s in %s listens on 15443, and no service has a pod behind it", r.Pod, c)
	case !w.Access.probes():
		return pass("gateway replica %s in %s passes on %d names of services", r.Pod, c, r.Passes)
	case w.notReady(c) != "":
		return unsure("gateway replica %s in %s listens on 15443; %s", r.Pod, c, w.notReady(c))
	case !r.Routed:
		return fail("NET006", "gateway replica %s in %s has no SNI route for %s", r.Pod, c, h)
	case r.Healthy == 0:
		return fail("NET007", "gateway replica %s in %s has no healthy local endpoint for %s", r.Pod, c, h)
	}
	return pass("gateway replica %s in %s routes %s to %d local endpoints", r.Pod, c, h, r.Healthy)
}
