// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "slices"

// CoverageCheck is the ID of the result that says that no check of a suite passed for a
// pair; its variant is the suite. It is made by the report, not judged from the world.
const CoverageCheck = "coverage"

// Checks lists every check, in the order in which results are shown. This file is the one place
// where they are listed; each has a heading in docs/checks.md.
func Checks() []Check {
	return slices.Concat(trustChecks(), discoveryChecks(), weightsChecks(), localityChecks(), failoverChecks(), authorizationChecks(), gatewayChecks(), dnsChecks(), servicesChecks())
}

func trustChecks() []Check {
	return []Check{
		{"trust-cacerts", SuiteTrust, "each control plane signs with a valid plugged-in CA",
			[]string{"TRU002", "TRU005", "TRU006"}, []Fact{FactSigners}, judgeSigners},
		{"trust-roots", SuiteTrust, "all control planes have one root",
			[]string{"TRU001"}, []Fact{FactSigners, FactRoots}, judgeRoots},
		{"trust-distributed", SuiteTrust, "workloads are given the root of their control plane",
			[]string{"TRU011"}, []Fact{FactSigners, FactRoots}, judgeDistributed},
		{"trust-wire-root", SuiteTrust, "what a workload serves is trusted by the others",
			[]string{"TRU001", "TRU006"}, []Fact{FactSigners, FactWire}, judgeWireRoot},
		{"trust-wire-signer", SuiteTrust, "what a workload serves was signed by its own cluster's intermediate",
			[]string{"TRU003", "TRU004"}, []Fact{FactSigners, FactControl, FactWire}, judgeWireSigner},
		{"trust-wire-identity", SuiteTrust, "what a workload serves carries its SPIFFE ID",
			[]string{"TRU008", "NET009"}, []Fact{FactWire}, judgeWireIdentity},
		{"trust-wire-lifetime", SuiteTrust, "what a workload serves is valid, and not longer than its issuer",
			[]string{"TRU006", "TRU007"}, []Fact{FactWire}, judgeWireLifetime},
		{"trust-held-root", SuiteTrust, "what proxies hold is trusted by the proxies of the others",
			[]string{"TRU001", "TRU006"}, []Fact{FactHeld}, judgeHeldRoot},
		{"trust-held-signer", SuiteTrust, "the proxies of a cluster hold leaves of one signer",
			[]string{"TRU004"}, []Fact{FactHeld}, judgeHeldSigner},
		{"trust-held-identity", SuiteTrust, "what proxies hold carries a SPIFFE ID of the mesh's trust domain",
			[]string{"TRU008"}, []Fact{FactHeld}, judgeHeldIdentity},
		{"trust-held-lifetime", SuiteTrust, "what proxies hold is valid, and not longer than its issuer",
			[]string{"TRU006", "TRU007"}, []Fact{FactHeld}, judgeHeldLifetime},
	}
}

func discoveryChecks() []Check {
	return []Check{
		{"discovery-secret", SuiteDiscovery, "each control plane has a remote secret for its peers",
			[]string{"FED001"}, []Fact{FactControl}, judgeSecrets},
		{"discovery-synced", SuiteDiscovery, "every istiod replica has every peer synced",
			[]string{"FED001", "FED010", "INS001"}, []Fact{FactControl}, judgeSynced},
		{"discovery-served", SuiteDiscovery, "each cluster without an istiod is led to the one that serves it",
			[]string{"INS005", "INS006", "INS007"}, []Fact{FactServed, FactSigners}, judgeServed},
		{"discovery-address", SuiteDiscovery, "each east-west gateway has an address",
			[]string{"NET001", "NET002"}, []Fact{FactGateways}, judgeAddress},
		{"discovery-exposure", SuiteDiscovery, "a Gateway exposes services to other networks on 15443",
			[]string{"NET005"}, []Fact{FactGateways}, judgeExposure},
		{"discovery-sni", SuiteDiscovery, "every gateway replica routes the probe's SNI to a local endpoint",
			[]string{"NET005", "NET006", "NET007", "NET008"}, []Fact{FactGateways}, judgeSNI},
		{"discovery-endpoints", SuiteDiscovery, "callers see gateways of other networks and pods of their own",
			[]string{"FED001", "FED010", "FED011", "FED012", "NET001", "NET003", "NET004", "NET005", "NET008"}, []Fact{FactControl, FactGateways, FactProbes, FactViews}, judgeEndpoints},
		{"discovery-proxies", SuiteDiscovery, "no proxy has a pod of another network among its endpoints",
			[]string{"NET004"}, []Fact{FactViews}, judgeProxies},
		{"discovery-reach", SuiteDiscovery, "proxies have endpoints of the other clusters for the services that those back",
			[]string{"FED001", "FED010", "FED011", "NET001", "NET003", "NET005", "NET008"}, []Fact{FactControl, FactGateways, FactReach}, judgeReach},
		{"discovery-answers", SuiteDiscovery, "a request from each cluster is answered by each other",
			[]string{"FED001", "FED010", "NET001", "NET005", "NET008", "NET013"}, []Fact{FactControl, FactGateways, FactProbes, FactWithin, FactEven}, judgeAnswers},
	}
}

func weightsChecks() []Check {
	return []Check{
		{"weights-endpoints", SuiteWeights, "weights in the caller's Envoy follow ready endpoints",
			[]string{"LOC008"}, []Fact{FactProbes, FactViews, FactShares}, judgeWeights},
		{"weights-share", SuiteWeights, "answers follow the weights in the caller's Envoy",
			[]string{"LOC008"}, []Fact{FactProbes, FactViews, FactWithin, FactShares}, judgeShares},
	}
}

func localityChecks() []Check {
	return []Check{
		{"locality-nodes", SuiteLocality, "nodes carry the locality of the topology",
			[]string{"LOC001"}, []Fact{FactNodes}, judgeNodes},
		{"locality-priorities", SuiteLocality, "priorities in the caller's Envoy follow locality",
			[]string{"LOC003"}, []Fact{FactNodes, FactProbes, FactViews}, judgePriorities},
		{"locality-answers", SuiteLocality, "all answers are local while local is healthy",
			[]string{"LOC004"}, []Fact{FactNodes, FactProbes, FactViews, FactWithin, FactLocal}, judgeLocal},
	}
}

func failoverChecks() []Check {
	return []Check{
		{"failover-switch", SuiteFailover, "the other cluster answers in time when local does not",
			[]string{"LOC004", "LOC005"}, []Fact{FactNodes, FactProbes, FactViews, FactWithin, FactFailover}, judgeSwitch},
		{"failover-lost", SuiteFailover, "few requests are lost meanwhile",
			[]string{"LOC005"}, []Fact{FactNodes, FactProbes, FactViews, FactWithin, FactFailover}, judgeLost},
		{"failover-back", SuiteFailover, "local answers again in time after repair",
			[]string{"LOC010"}, []Fact{FactNodes, FactProbes, FactViews, FactWithin, FactFailover}, judgeBack},
		{"failover-restored", SuiteFailover, "what a disruptive fault changed is as it was",
			[]string{"LOC011"}, []Fact{FactFailover}, judgeRestored},
	}
}

func authorizationChecks() []Check {
	return []Check{
		{"authorization-allowed", SuiteAuthorization, "an allowed identity is let in from another cluster",
			[]string{"AUZ001", "NET008"}, []Fact{FactProbes, FactWithin, FactCalls}, judgeAllowed},
		{"authorization-denied", SuiteAuthorization, "another identity is kept out",
			[]string{"AUZ002"}, []Fact{FactProbes, FactWithin, FactCalls}, judgeDenied},
		{"authorization-plaintext", SuiteAuthorization, "plaintext is refused under STRICT",
			[]string{"AUZ002"}, []Fact{FactProbes, FactWithin, FactCalls}, judgePlaintext},
		{"authorization-ingress", SuiteAuthorization, "the ingress gateway's identity is let in",
			[]string{"AUZ001", "NET008"}, []Fact{FactProbes, FactWithin, FactCalls}, judgeIngress},
		{"authorization-direct", SuiteAuthorization, "what the ingress may do is kept from direct callers",
			[]string{"AUZ002"}, []Fact{FactProbes, FactWithin, FactCalls}, judgeDirect},
		{"authorization-outside-answers", SuiteAuthorization, "a client outside of the mesh is answered through the ingress gateway",
			[]string{"AUZ001", "NET010"}, []Fact{FactProbes, FactWithin, FactOutside}, judgeOutsideAnswers},
		{"authorization-outside-peer", SuiteAuthorization, "a service of another cluster answers it through the same gateway",
			[]string{"AUZ001", "FED001", "FED010", "NET001", "NET005", "NET008", "NET013"}, []Fact{FactControl, FactGateways, FactProbes, FactWithin, FactOutside}, judgeOutsidePeer},
		{"authorization-outside-denied", SuiteAuthorization, "what policy denies is denied to it by an Envoy of the mesh",
			[]string{"AUZ002"}, []Fact{FactProbes, FactWithin, FactOutside}, judgeOutsideDenied},
		{"authorization-outside-direct", SuiteAuthorization, "it is kept out of a workload that it can reach without the gateway",
			[]string{"AUZ002"}, []Fact{FactProbes, FactWithin, FactOutside}, judgeOutsideDirect},
	}
}

func gatewayChecks() []Check {
	return []Check{
		{"gateway-allowed", SuiteGateway, "a client of the mesh passes through every address of a gateway",
			[]string{"AUZ001", "FED001", "FED010", "NET001", "NET005", "NET008"}, []Fact{FactControl, FactGateways, FactProbes, FactWithin, FactKnocks}, judgeGatewayAllowed},
		{"gateway-certificate", SuiteGateway, "who has no certificate of the mesh is refused by the workload",
			[]string{"AUZ002"}, []Fact{FactGateways, FactProbes, FactKnocks}, judgeGatewayCertificate},
		{"gateway-unknown", SuiteGateway, "what names no service of the mesh is refused by the gateway",
			[]string{"NET015"}, []Fact{FactGateways, FactProbes, FactKnocks}, judgeGatewayUnknown},
		{"gateway-permissive", SuiteGateway, "workloads that other networks reach ask for a certificate",
			[]string{"AUZ008"}, []Fact{FactExposed}, judgeGatewayPermissive},
	}
}

func dnsChecks() []Check {
	return []Check{
		{"dns-stub", SuiteDNS, "a service of another cluster is found by its stub Service, and answers",
			[]string{"FED001", "FED010", "FED014", "NET001", "NET005", "NET008", "NET013"}, []Fact{FactControl, FactGateways, FactProbes, FactWithin, FactNames}, judgeStub},
		{"dns-proxied", SuiteDNS, "a service of another cluster is found without one where sidecars take DNS over",
			[]string{"FED001", "FED010", "FED014", "NET001", "NET005", "NET008", "NET013"}, []Fact{FactControl, FactGateways, FactProbes, FactWithin, FactNames}, judgeProxied},
	}
}

func servicesChecks() []Check {
	return []Check{
		{"services-covered", SuiteServices, "the user's own services are looked at beside the probes",
			[]string{"SVC001"}, []Fact{FactOwn}, judgeCovered},
		{"services-ports", SuiteServices, "a service has the same ports in every cluster",
			[]string{"FED013", "SVC001"}, []Fact{FactOwn}, judgeOwnPorts},
		{"services-endpoints", SuiteServices, "a service has ready endpoints in every cluster that it lives in",
			[]string{"SVC001"}, []Fact{FactOwn}, judgeOwnEndpoints},
		{"services-mtls", SuiteServices, "every pod of a service has a sidecar that takes mTLS",
			[]string{"NET011"}, []Fact{FactOwn}, judgeOwnMTLS},
		{"services-policies", SuiteServices, "the same policies select a service in every cluster",
			[]string{"AUZ006"}, []Fact{FactOwn}, judgeOwnPolicies},
		{"services-callers", SuiteServices, "policies let the callers of a service in, in every cluster that it lives in",
			[]string{"AUZ001"}, []Fact{FactOwn}, judgeOwnCallers},
		{"services-reach", SuiteServices, "callers of each cluster have healthy endpoints of each other",
			[]string{"FED001", "FED010", "FED011", "FED013", "FED018", "NET001", "NET005", "NET008", "NET011", "SVC001"}, []Fact{FactControl, FactGateways, FactOwn, FactCallers}, judgeOwnReach},
		{"services-failover", SuiteServices, "outlier detection and locality reach the callers of a service that shall fail over",
			[]string{"LOC002", "LOC003"}, []Fact{FactNodes, FactOwn, FactCallers}, judgeOwnFailover},
		{"services-probe", SuiteServices, "a service answers the requests that the topology asks for",
			[]string{"SVC002"}, []Fact{FactProbes, FactWithin, FactCallers}, judgeOwnProbe},
	}
}
