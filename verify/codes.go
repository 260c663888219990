// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

// Code is a diagnosis. docs/checks.md has a heading with more words for each.
type Code struct {
	// ID is stable: "FED001".
	ID string
	// Fix is what mends it, in one or two sentences.
	Fix string
	// Causes are the codes that can bring this one about, where they are found for the same
	// clusters.
	Causes []string
}

// Codes lists every diagnosis that a check may give. This is the one place where they are listed.
func Codes() []Code {
	return []Code{
		{"TRU001", "Give every control plane an intermediate under one root, restart istiod, then gateways and workloads.", []string{"TRU002", "TRU003", "TRU005"}},
		{"TRU002", "Run `meshfed up`, or make the secret cacerts; then restart istiod, gateways and workloads.", nil},
		{"TRU003", "Restart istiod, then gateways and workloads: it signs with what was there when it started.", nil},
		{"TRU004", "Restart the workloads that are named, or wait until they renew their certificates.", []string{"TRU002", "TRU003", "TRU005"}},
		{"TRU005", "Make cacerts again; the message says which part is wrong.", nil},
		{"TRU006", "Renew the certificate that is named, or wait where only a leaf is old and istiod runs; compare the clocks when it is not valid yet.", []string{"INS001"}},
		{"TRU007", "Renew the intermediate, or let leaves live shorter (istiod's MAX_WORKLOAD_CERT_TTL).", nil},
		{"TRU008", "Use one trust domain, or list the other in meshConfig.trustDomainAliases of both sides.", nil},
		{"TRU011", "Restart istiod; if it stays so, look for a second istiod that writes the ConfigMap.", []string{"TRU003", "INS001"}},

		{"INS001", "`kubectl -n istio-system describe deployment istiod` says why no replica runs.", nil},
		{"INS005", "Run `meshfed up`: the istiod that serves the cluster writes the webhook's trust once it reads the cluster.", []string{"INS001", "INS007", "FED001", "FED010"}},
		{"INS006", "Run `meshfed up`: it looks the address of the serving istiod up again, and makes what is missing on the way.", []string{"NET001"}},
		{"INS007", "Run `meshfed up`, or put the annotation topology.istio.io/controlPlaneClusters on istio-system; restart an istiod that has started meanwhile.", nil},

		{"FED001", "Run `meshfed up`, or make the remote secret with `istioctl create-remote-secret`.", nil},
		{"FED010", "The log of the istiod replica says whether it can not reach the peer's API server or its token is refused; `meshfed up` renews the secret.", []string{"FED001", "INS001"}},
		{"FED011", "Compare istiod's /debug/endpointShardz with the EndpointSlices of the other cluster; restart that istiod if they differ.", []string{"FED001", "FED010", "NET003"}},
		{"FED012", "Run `meshfed up`, which removes remote secrets that it made and spec.discovery leaves out; others are yours to remove.", nil},
		{"FED013", "Apply the same Service to every cluster: endpoints are matched by the name of the port.", nil},
		{"FED014", "Make a Service of the same name without pods in the cluster that looks it up, or set spec.istio.dnsProxying: true, run `meshfed up` and start the workloads again.", nil},
		{"FED018", "Add the caller's namespace to the annotation networking.istio.io/exportTo of the Service, in every cluster.", nil},

		{"NET001", "Look at the load balancer and its address pool: `kubectl -n istio-system describe service istio-eastwestgateway`.", nil},
		{"NET002", "Give the gateway an address, or list addresses in eastWest.addresses: a hostname works only where istiod resolves it.", nil},
		{"NET003", "Label istio-system, the gateway's Service and its pods alike with topology.istio.io/network; `meshfed up` does.", []string{"NET001", "FED001", "FED010"}},
		{"NET004", "Label istio-system, the gateway's Service and its pods alike with topology.istio.io/network; `meshfed up` does.", []string{"NET001", "NET003"}},
		{"NET005", "Run `meshfed up`, or make a Gateway with an AUTO_PASSTHROUGH server on 15443 that selects the gateway's pods.", nil},
		{"NET006", "Install the gateway with the router mode sni-dnat, and let its Gateway's hosts cover the service.", []string{"NET005"}},
		{"NET007", "Give the gateway the network view and label of its workloads, and the workloads sidecars.", nil},
		{"NET008", "`kubectl -n istio-system get pods -l istio=eastwestgateway` in the cluster that is named; then look for a firewall on 15443.", []string{"NET001", "NET005", "TRU001", "LOC011"}},
		{"NET009", "Let TLS pass the load balancer or proxy in between as it is (layer 4).", nil},
		{"NET010", "Publish the port or the address of the ingress gateway; see the curl line of the check.", nil},
		{"NET011", "Give the pods sidecars, or remove the PeerAuthentication that turns mTLS off for them.", nil},
		{"NET013", "Give every node routes to the pods of the other cluster; between kind clusters `meshfed up` does.", nil},
		{"NET015", "Find the Gateway or VirtualService that takes 15443 in another mode than AUTO_PASSTHROUGH: `kubectl get gateways,virtualservices -A`.", nil},

		{"LOC001", "Label the nodes with topology.kubernetes.io/region and zone as the topology says, then restart the pods on them.", nil},
		{"LOC002", "Give the host a DestinationRule with outlierDetection, in its own namespace or its callers', in every cluster with an istiod.", nil},
		{"LOC003", "Give the host a DestinationRule with outlierDetection in the caller's cluster, and nodes their localities.", []string{"LOC001"}},
		{"LOC004", "Look at the priorities in the caller's Envoy, and for outlier detection that ejects local endpoints.", []string{"LOC001", "LOC003"}},
		{"LOC005", "Look at the outlier detection and retries that reach the caller; on a slow machine raise spec.verify.failover.", []string{"LOC003", "NET008"}},
		{"LOC008", "Look at the ready endpoints behind the gateway: of endpoints in several zones Envoy keeps one.", []string{"FED001", "FED010", "NET001", "NET005", "NET008"}},
		{"LOC010", "Look at the ejection time of the outlier detection that reaches the caller; on a slow machine raise spec.verify.failover.", nil},
		{"LOC011", "Let `meshfed verify` or `meshfed up` restore it, once what refused it is out of the way; the annotation meshfed.io/fault of the object has the old value.", nil},

		{"AUZ001", "Look at the AuthorizationPolicies that select the workload, those of the root namespace too, and at the caller's identity.", []string{"TRU008"}},
		{"AUZ002", "Make an AuthorizationPolicy that selects the workload; look for a wider one that allows the call.", nil},
		{"AUZ006", "Apply the same policies to every cluster with an istiod: Istio does not copy them.", nil},
		{"AUZ008", "Set STRICT for the namespace with a PeerAuthentication, or for the mesh with spec.mesh.mtls, once all callers have sidecars.", nil},

		{"SVC001", "Make the Service in the cluster that is named, or look at its pods: `kubectl get service,endpointslices -n NAMESPACE`.", nil},
		{"SVC002", "Look at the log of the service where its status is 500 or above, at services-reach where nothing answered, at the path where it is 404.", []string{"SVC001", "NET008", "NET011"}},
	}
}

// codeOf finds a code; the zero Code for one that is not listed.
func codeOf(id string) Code {
	for _, c := range Codes() {
		if c.ID == id {
			return c
		}
	}
	return Code{}
}
