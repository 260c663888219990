// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"testing"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func noSecret(w *World, _ testPKI) {
	w.Controls["west"] = Control{Secrets: map[string]string{}, Replicas: []Istiod{{Pod: "istiod-1", Peers: map[string]string{"west": "synced"}}}}
	w.Views["west"].Services[host(testNamespace, "echo")] = []Endpoint{near("west", 1)}
	lonely(w)
}

// lonely makes west answer all its requests itself.
func lonely(w *World) {
	w.Loads[LoadKey{"west", "echo"}] = Load{Sent: 200, Answers: map[string]int{"west": 100}, Lost: 100,
		Outcomes: []probe.Outcome{answer("west", 200, 100), {Status: 503, Count: 100, Detail: "upstream connect error"}}}
}

func gatewayWith(f func(*Gateway)) func(*World, testPKI) {
	return func(w *World, _ testPKI) {
		g := w.Gateways["east"]
		f(&g)
		w.Gateways["east"] = g
	}
}

func replica(f func(*GatewayReplica)) func(*World, testPKI) {
	return gatewayWith(func(g *Gateway) { f(&g.Replicas[0]) })
}

func TestDiscoveryJudgements(t *testing.T) {
	t.Parallel()
	view := func(endpoints ...Endpoint) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Views["west"].Services[host(testNamespace, "echo")] = endpoints }
	}
	peers := func(status string) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Controls["west"].Replicas[0].Peers["east"] = status }
	}
	check(t, []judgement{
		{"missing", noSecret, "discovery-secret", "west", "east", "", Fail, "FED001"},
		{"the other way is well", noSecret, "discovery-secret", "east", "west", "", Pass, ""},
		{"unreadable", func(w *World, _ testPKI) { w.Controls["west"] = Control{Problem: "forbidden"} }, "discovery-secret", "west", "east", "", Inconclusive, ""},

		{"no secret", noSecret, "discovery-synced", "west", "east", "istiod-1", Fail, "FED001"},
		{"timeout", peers("timeout"), "discovery-synced", "west", "east", "istiod-1", Fail, "FED010"},
		{"one replica of two", func(w *World, _ testPKI) {
			c := w.Controls["west"]
			c.Replicas = append(c.Replicas, Istiod{Pod: "istiod-2", Peers: map[string]string{}})
			w.Controls["west"] = c
		}, "discovery-synced", "west", "east", "istiod-2", Fail, "FED010"},
		{"no replica", func(w *World, _ testPKI) { w.Controls["west"] = Control{Secrets: map[string]string{"east": "s"}} }, "discovery-synced", "west", "east", "", Fail, "INS001"},
		{"replica does not answer", func(w *World, _ testPKI) { w.Controls["west"].Replicas[0].Problem = "refused" }, "discovery-synced", "west", "east", "istiod-1", Inconclusive, ""},

		{"pending", gatewayWith(func(g *Gateway) { g.Addresses = nil }), "discovery-address", "", "east", "", Fail, "NET001"},
		{"hostname", gatewayWith(func(g *Gateway) { g.Addresses, g.Hostnames = nil, []string{"lb.example"} }), "discovery-address", "", "east", "", Warn, "NET002"},
		{"unreadable", gatewayWith(func(g *Gateway) { g.Problem = "forbidden" }), "discovery-address", "", "east", "", Inconclusive, ""},
		{"one network", func(w *World, _ testPKI) { w.Topology.Spec.Clusters[1].Network = "west-network" }, "discovery-address", "", "east", "", Skip, ""},

		{"Gateway removed", gatewayWith(func(g *Gateway) { g.Exposures = nil }), "discovery-exposure", "", "east", "", Fail, "NET005"},

		{"scaled to zero", gatewayWith(func(g *Gateway) { g.Replicas = nil }), "discovery-sni", "", "east", "", Fail, "NET008"},
		{"none ready", replica(func(r *GatewayReplica) { r.Ready = false }), "discovery-sni", "", "east", "", Fail, "NET008"},
		{"no listener", replica(func(r *GatewayReplica) { r.Listening = false }), "discovery-sni", "", "east", "gw-1", Fail, "NET005"},
		{"no SNI cluster", replica(func(r *GatewayReplica) { r.Routed = false }), "discovery-sni", "", "east", "gw-1", Fail, "NET006"},
		{"empty SNI cluster", replica(func(r *GatewayReplica) { r.Healthy = 0 }), "discovery-sni", "", "east", "gw-1", Fail, "NET007"},
		{"admin does not answer", replica(func(r *GatewayReplica) { r.Problem = "refused" }), "discovery-sni", "", "east", "gw-1", Inconclusive, ""},

		{"no secret", noSecret, "discovery-endpoints", "west", "east", "", Fail, "FED001"},
		{"pod address", view(near("west", 1), Endpoint{Address: "10.20.0.9", Port: 8080, Cluster: "east"}), "discovery-endpoints", "west", "east", "", Fail, "NET004"},
		{"wrong port", view(near("west", 1), Endpoint{Address: "10.89.0.202", Port: 443, Cluster: "east", Gateway: true}), "discovery-endpoints", "west", "east", "", Fail, "NET004"},
		{"no gateway known", view(near("west", 1)), "discovery-endpoints", "west", "east", "", Fail, "NET003"},
		{"unreadable", func(w *World, _ testPKI) { w.Views["west"] = Views{Problem: "refused"} }, "discovery-endpoints", "west", "east", "", Inconclusive, ""},
		{"flat network", func(w *World, _ testPKI) {
			w.Topology.Spec.Clusters[1].Network = "west-network"
			w.Views["west"].Services[host(testNamespace, "echo")] = []Endpoint{near("west", 1), {Address: "10.20.0.9", Port: 8080, Cluster: "east", Healthy: true}}
		}, "discovery-endpoints", "west", "east", "", Pass, ""},
		{"no healthy endpoint", view(near("west", 1), Endpoint{Address: "10.89.0.202", Port: 15443, Cluster: "east", Gateway: true}), "discovery-endpoints", "west", "east", "", Fail, "FED011"},
		{"no healthy endpoint for a known reason", func(w *World, pki testPKI) {
			gatewayWith(func(g *Gateway) { g.Replicas = nil })(w, pki)
			view(near("west", 1), Endpoint{Address: "10.89.0.202", Port: 15443, Cluster: "east", Gateway: true})(w, pki)
		}, "discovery-endpoints", "west", "east", "", Fail, "NET008"},
		{"one of two is healthy", view(near("west", 1), far("east", 1, 0), Endpoint{Address: "10.89.0.203", Port: 15443, Cluster: "east", Gateway: true}), "discovery-endpoints", "west", "east", "", Pass, ""},

		{"a stray", func(w *World, _ testPKI) { w.Views["west"] = Views{Proxies: 3, Total: 3, Astray: []string{"x"}} }, "discovery-proxies", "west", "", "", Fail, "NET004"},
		{"none read", func(w *World, _ testPKI) { w.Views["west"] = Views{Total: 3} }, "discovery-proxies", "west", "", "", Inconclusive, ""},
		{"some unread", func(w *World, _ testPKI) { w.Views["west"] = Views{Total: 3, Proxies: 2, Unread: []string{"x"}} }, "discovery-proxies", "west", "", "", Inconclusive, ""},

		{"no secret", noSecret, "discovery-answers", "west", "east", "", Fail, "FED001"},
		{"gateway gone", func(w *World, pki testPKI) { gatewayWith(func(g *Gateway) { g.Replicas = nil })(w, pki); lonely(w) }, "discovery-answers", "west", "east", "", Fail, "NET008"},
		{"Gateway removed", func(w *World, pki testPKI) { gatewayWith(func(g *Gateway) { g.Exposures = nil })(w, pki); lonely(w) }, "discovery-answers", "west", "east", "", Fail, "NET005"},
		{"cause unknown", func(w *World, _ testPKI) { lonely(w) }, "discovery-answers", "west", "east", "", Fail, "NET008"},
		{"pod that the API does not know", func(w *World, _ testPKI) {
			w.Loads[LoadKey{"west", "echo"}] = Load{Sent: 200, Answers: map[string]int{"west": 100}, Unknown: 100}
		}, "discovery-answers", "west", "east", "", Fail, "NET008"},
		{"flat network", func(w *World, _ testPKI) { w.Topology.Spec.Clusters[1].Network = "west-network"; lonely(w) }, "discovery-answers", "west", "east", "", Fail, "NET013"},
		{"probe refused", func(w *World, _ testPKI) { w.Loads[LoadKey{"west", "echo"}] = Load{Problem: "no forward"} }, "discovery-answers", "west", "east", "", Inconclusive, ""},
	})
}

func TestWeightsAndLocalityJudgements(t *testing.T) {
	t.Parallel()
	load := func(service string, l Load) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Loads[LoadKey{"west", service}] = l }
	}
	view := func(service string, endpoints ...Endpoint) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Views["west"].Services[host(testNamespace, service)] = endpoints }
	}
	node := func(l topology.Locality) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Nodes["east"] = Nodes{Localities: map[string]topology.Locality{"n": l}} }
	}
	west := topology.Locality{Region: "us-west", Zone: "us-west-1"}
	check(t, []judgement{
		{"gateway weighs one", view("heavy-east", near("west", 1), far("east", 1, 0)), "weights-endpoints", "west", "east", "3:1 for east", Warn, "LOC008"},
		{"no weight at all", view("echo", near("west", 1)), "weights-endpoints", "west", "east", "even", Fail, "LOC008"},
		{"nothing ready", func(w *World, _ testPKI) { w.Probes["east"] = Probes{Ready: map[string]int{}} }, "weights-endpoints", "west", "east", "even", Inconclusive, ""},

		{"all local", load("echo", Load{Sent: 200, Answers: map[string]int{"west": 200}}), "weights-share", "west", "east", "even", Fail, "LOC008"},
		{"even though 3:1", load("heavy-east", Load{Sent: 200, Answers: map[string]int{"west": 100, "east": 100}}), "weights-share", "west", "east", "3:1 for east", Fail, "LOC008"},
		{"late ones may be the peer's", load("echo", Load{Sent: 200, Lost: 50, Answers: map[string]int{"west": 120, "east": 30}}), "weights-share", "west", "east", "even", Inconclusive, ""},
		{"late ones are too few", load("echo", Load{Sent: 200, Lost: 10, Answers: map[string]int{"west": 160, "east": 30}}), "weights-share", "west", "east", "even", Fail, "LOC008"},
		{"too many answers, late ones or not", load("echo", Load{Sent: 200, Lost: 50, Answers: map[string]int{"west": 20, "east": 130}}), "weights-share", "west", "east", "even", Fail, "LOC008"},
		{"within chance", load("echo", Load{Sent: 200, Answers: map[string]int{"west": 80, "east": 120}}), "weights-share", "west", "east", "even", Pass, ""},
		{"too few", load("echo", Load{Sent: 99, Answers: map[string]int{"west": 49, "east": 50}}), "weights-share", "west", "east", "even", Inconclusive, ""},
		{"no weight", view("echo", near("west", 1)), "weights-share", "west", "east", "even", Inconclusive, ""},

		{"unlabelled", node(topology.Locality{}), "locality-nodes", "", "east", "", Fail, "LOC001"},
		{"elsewhere", node(west), "locality-nodes", "", "east", "", Fail, "LOC001"},
		{"topology says nothing", func(w *World, _ testPKI) { w.Topology.Spec.Clusters[1].Locality = topology.Locality{} }, "locality-nodes", "", "east", "", Skip, ""},

		{"one priority", view("local", near("west", 1), far("east", 1, 0)), "locality-priorities", "west", "east", "", Fail, "LOC003"},
		{"the wrong way round", view("local", Endpoint{Cluster: "west", Priority: 1}, far("east", 1, 0)), "locality-priorities", "west", "east", "", Fail, "LOC003"},
		{"equal localities share", func(w *World, pki testPKI) {
			node(west)(w, pki)
			view("local", near("west", 1), far("east", 1, 0))(w, pki)
		}, "locality-priorities", "west", "east", "", Pass, ""},
		{"equal localities do not share", node(west), "locality-priorities", "west", "east", "", Fail, "LOC003"},
		{"peer unseen", view("local", near("west", 1)), "locality-priorities", "west", "east", "", Inconclusive, ""},

		{"one answer from elsewhere", load("local", Load{Sent: 40, Answers: map[string]int{"west": 39, "east": 1}}), "locality-answers", "west", "east", "", Fail, "LOC004"},
		{"one lost", load("local", Load{Sent: 40, Answers: map[string]int{"west": 39}, Lost: 1}), "locality-answers", "west", "east", "", Inconclusive, ""},
		{"peer unseen", view("local", near("west", 1)), "locality-answers", "west", "east", "", Inconclusive, ""},
		{"equal localities", node(west), "locality-answers", "west", "east", "", Skip, ""},
	})
}
