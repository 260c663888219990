// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "slices"

// Suites in the order in which they are shown.
const (
	SuiteTrust         = "trust"
	SuiteDiscovery     = "discovery"
	SuiteWeights       = "weights"
	SuiteLocality      = "locality"
	SuiteFailover      = "failover"
	SuiteAuthorization = "authorization"
	SuiteGateway       = "gateway"
	SuiteDNS           = "dns"
	SuiteServices      = "services"
)

// Suites lists the suites that are built, in the order in which they are shown.
func Suites() []string {
	return []string{SuiteTrust, SuiteDiscovery, SuiteWeights, SuiteLocality, SuiteFailover, SuiteAuthorization, SuiteGateway, SuiteDNS, SuiteServices}
}

// Fact names an observation that checks rest on.
type Fact string

// The observations. Those up to FactGateways read the API, control planes and gateways
// only; the others need probes.
const (
	// FactSigners: the secret cacerts of each control plane.
	FactSigners Fact = "signers"
	// FactRoots: the ConfigMap istio-ca-root-cert as workloads get it.
	FactRoots Fact = "roots"
	// FactControl: remote secrets, and what every istiod replica says of its peers.
	FactControl Fact = "control"
	// FactServed: what leads clusters without an istiod to the one that serves them.
	FactServed Fact = "served"
	// FactNodes: localities of the nodes.
	FactNodes Fact = "nodes"
	// FactProbes: which probe pods run where.
	FactProbes Fact = "probes"
	// FactGateways: addresses, exposure, listeners and SNI clusters of east-west gateways.
	FactGateways Fact = "gateways"
	// FactWire: the chain that each cluster's probe serves to each other's.
	FactWire Fact = "wire"
	// FactViews: the endpoints in the Envoy of each caller, and those of all proxies.
	FactViews Fact = "views"
	// FactEven, FactShares, FactLocal: requests to the services of the suites discovery,
	// weights and locality.
	FactEven   Fact = "even"
	FactShares Fact = "shares"
	FactLocal  Fact = "local"
	// FactWithin: calls inside of each cluster, and what may keep them out.
	FactWithin Fact = "within"
	// FactCalls: allowed and denied calls.
	FactCalls Fact = "calls"
	// FactKnocks: calls at east-west gateways that must be refused, and one that must not.
	FactKnocks Fact = "knocks"
	// FactExposed: the mTLS mode of workloads behind east-west gateways.
	FactExposed Fact = "exposed"
	// FactNames: lookups of services that live in one cluster, and requests to them.
	FactNames Fact = "names"
	// FactOwn: the user's own services by the API; FactCallers: what proxies know of them, and
	// requests to those that ask for some.
	FactOwn     Fact = "own"
	FactCallers Fact = "callers"
	// FactOutside: calls of clients outside of the mesh.
	FactOutside Fact = "outside"
	// FactFailover: time lines of a steady load under faults.
	FactFailover Fact = "failover"
	// FactHeld: the certificates that proxies hold, FactReach: the services of which they have
	// endpoints in other clusters.
	FactHeld  Fact = "held"
	FactReach Fact = "reach"
)

// Check is one question with its judgement.
type Check struct {
	// ID is stable: shown, filtered by, documented.
	ID string
	// Suite that it belongs to.
	Suite string
	// Title is what passing means, in a few words.
	Title string
	// Codes are the diagnoses that it may give.
	Codes []string
	// Needs are the observations that must be over before it is judged.
	Needs []Fact
	// Judge is pure: the same world gives the same results. It gives one result for each
	// cluster, pair or variant that it is about, and none where it does not apply.
	Judge func(*World) []Result
}

// run judges and fills in what belongs to the check.
func (c Check) run(w *World) []Result {
	results := c.Judge(w)
	for i := range results {
		results[i].ID, results[i].Suite = c.ID, c.Suite
		for _, f := range c.Needs {
			results[i].DurationSeconds = max(results[i].DurationSeconds, rounded(w.Took[f]))
		}
	}
	return results
}

// selected are the checks of some suites that can be judged with some access, in registry order.
func selected(suites []string, access Access) []Check {
	return slices.DeleteFunc(Checks(), func(c Check) bool { return !slices.Contains(suites, c.Suite) || !c.judged(access) })
}

// judged says whether a check rests on what can be seen with some access only. FactReach is for runs
// without probes: others know it better.
func (c Check) judged(a Access) bool {
	if a.probes() {
		return !slices.Contains(c.Needs, FactReach)
	}
	seen := []Fact{FactControl, FactNodes, FactGateways, FactViews, FactHeld, FactReach}
	if a.secrets() {
		seen = append(seen, FactSigners, FactRoots, FactServed)
	}
	return !slices.ContainsFunc(c.Needs, func(f Fact) bool { return !slices.Contains(seen, f) })
}

// PassiveSuites lists the suites of which something can be proven without probes.
func PassiveSuites() []string { return []string{SuiteTrust, SuiteDiscovery} }

// needs is the set of facts that some checks rest on.
func needs(checks []Check) map[Fact]bool {
	facts := map[Fact]bool{}
	for _, c := range checks {
		for _, f := range c.Needs {
			facts[f] = true
		}
	}
	return facts
}
