// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

// World is everything that was observed; judgements see nothing else. In each part,
// Problem says why it could not be looked at and is empty when it could; a part that is
// absent was not looked at either.
type World struct {
	Topology *topology.Topology
	// Clusters that are judged, in file order: workloads of the mesh run in them.
	Clusters []string
	// Namespace and trust domain of the probes' identities.
	Namespace, TrustDomain string
	// Access that the run had.
	Access Access
	Now    time.Time
	// Took is how long each observation took.
	Took map[Fact]time.Duration

	// Signers and Controls by the cluster that istiod runs in; Served by cluster without one.
	Signers  map[string]Signer
	Roots    map[string]Roots
	Controls map[string]Control
	Served   map[string]Served
	Nodes    map[string]Nodes
	Gateways map[string]Gateway
	Probes   map[string]Probes
	Wire     map[topology.Pair]Wire
	Views    map[string]Views
	Held     map[string]Held
	Reach    map[string]Reach
	Loads    map[LoadKey]Load
	Within   map[string]Within
	Calls    map[CallKey]Call
	Lines    map[LineKey]Line
	// Disruptive says that the failover suite takes gateways and networks away too; Faults are
	// those that it made.
	Disruptive bool
	Faults     []FaultSeen
	// Knocks by pair, Exposed by cluster; both only where networks differ.
	Knocks  map[topology.Pair]Knocks
	Exposed map[string]Exposed
	Names   map[NameKey]Name
	// Own are the user's services by cluster, Callers what proxies know of those in the topology.
	Own     map[string]Own
	Callers map[OwnKey]OwnView
	// Outside are the calls of the clients outside of the mesh, OutsideClients their names.
	Outside        map[OutsideKey]Call
	OutsideClients []string
}

// Signer is a control plane's plugged-in CA.
type Signer struct {
	Problem string
	// Absent: there is no secret cacerts, so istiod signs with a CA of its own.
	Absent bool
	// Invalid says what is wrong with it.
	Invalid string
	// Root and Intermediate are set when they could be parsed, valid or not.
	Root, Intermediate *x509.Certificate
	// Changed is when its data was last written.
	Changed time.Time
}

// Roots are the roots that namespaces of one cluster are given, by namespace.
type Roots struct {
	Problem string
	// ByNamespace holds fingerprints; an absent ConfigMap has none.
	ByNamespace map[string][]string
}

// Control is one control plane's knowledge of its peers.
type Control struct {
	Problem string
	// Secrets by the cluster that they are for, and when what is in them ends, where they say so.
	Secrets map[string]string
	Expires map[string]time.Time
	// Replicas of istiod.
	Replicas []Istiod
}

// Istiod is one replica.
type Istiod struct {
	Problem string
	Pod     string
	Version string
	Started time.Time
	// Peers is the sync status by cluster, as the replica says it.
	Peers map[string]string
	// secrets are the names of the remote secrets that it has taken up, by cluster.
	secrets map[string]string
}

// Served is what leads a cluster without an istiod to the one that serves it.
type Served struct {
	Problem string
	// ControlPlanes is the annotation on istio-system that names it; "" without one.
	ControlPlanes string
	// Webhook says whether the injection webhook is there, Bundle which roots it trusts.
	Webhook bool
	Bundle  []string
	// Address is where Service istiod leads, At where the serving istiod is reached; "" for
	// nowhere.
	Address, At string
	// Untold says what is missing between the gateway at At and istiod; "" for nothing.
	Untold string
}

// Nodes are the localities that a cluster's nodes carry.
type Nodes struct {
	Problem    string
	Localities map[string]topology.Locality
	// Closed are the nodes that take no ordinary pods: cordoned, or tainted.
	Closed map[string]bool
}

// zones are the localities of nodes that take pods, in order, as far as they name a zone; none
// when all pods are in one. The probe's pods are in the first, but for the one that is in the
// second.
func (n Nodes) zones() []topology.Locality {
	var all []topology.Locality
	for name, l := range n.Localities {
		if l.Zone != "" && !n.Closed[name] && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	if len(all) < 2 {
		return nil
	}
	slices.SortFunc(all, compareLocality)
	return all
}

func compareLocality(a, b topology.Locality) int {
	return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Zone, b.Zone))
}

// Locality is the one locality of all nodes; false when they differ or are unknown.
func (n Nodes) locality() (topology.Locality, bool) {
	var one topology.Locality
	first := true
	for _, l := range n.Localities {
		if !first && l != one {
			return one, false
		}
		one, first = l, false
	}
	return one, !first
}

// Gateway is an east-west gateway.
type Gateway struct {
	Problem string
	// Addresses and Hostnames that its Service has.
	Addresses, Hostnames []string
	// Exposures are the AUTO_PASSTHROUGH servers on 15443 that select it, by Gateway.
	Exposures []string
	Replicas  []GatewayReplica
}

// GatewayReplica is what one replica's Envoy says.
type GatewayReplica struct {
	Problem string
	Pod     string
	Ready   bool
	// Listening on 15443.
	Listening bool
	// Routed says whether it has the SNI cluster of the probe's service; Healthy counts the
	// endpoints in it that take traffic.
	Routed  bool
	Healthy int
	// Passes counts the names of services that it passes on to at least one healthy endpoint.
	Passes int
}

// ready counts the replicas that take traffic.
func (g Gateway) ready() int {
	n := 0
	for _, r := range g.Replicas {
		if r.Ready {
			n++
		}
	}
	return n
}

// Probes are the probe pods of one cluster.
type Probes struct {
	Problem string
	// Ready counts, for each service of the probe, the ready pods behind it by the API.
	Ready map[string]int
	// Pods for evidence.
	Pods []ProbePod
}

// ProbePod is one probe pod as the API knows it.
type ProbePod struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	Node    string `json:"node,omitempty"`
	Address string `json:"address"`
	Ready   bool   `json:"ready"`
	State   string `json:"state,omitempty"`
}

// Wire is the chain that was served, leaf first.
type Wire struct {
	Problem string
	Addr    string
	SNI     string
	Chain   []*x509.Certificate
	// Want is the SPIFFE ID that the server must have.
	Want string
}

// Views are the endpoints in the Envoys of one cluster.
type Views struct {
	Problem string
	// Services are the endpoints of the probe's services in its caller, by host name.
	Services map[string][]Endpoint
	// Proxies looked at, of Total; Astray are endpoints of other networks' pods in them.
	Proxies, Total int
	Unread         []string
	Astray         []string
}

// Endpoint is one backend as an Envoy has it.
type Endpoint struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Weight  int    `json:"weight"`
	// Priority 0 is tried first.
	Priority int               `json:"priority"`
	Locality topology.Locality `json:"locality"`
	Healthy  bool              `json:"healthy"`
	// Cluster that the address belongs to, as the API knows it; Gateway when it is the
	// address of that cluster's east-west gateway and not of a pod.
	Cluster string `json:"cluster,omitempty"`
	Gateway bool   `json:"gateway,omitempty"`
}

// Held are the certificates in the proxies of one cluster.
type Held struct {
	// Proxies that were read, of Total; Unread says why others were not.
	Proxies []Holder
	Total   int
	Unread  []string
}

// Holder is one proxy: the chain that it serves, leaf first, and the roots that it trusts.
type Holder struct {
	Pod          string
	Chain, Roots []*x509.Certificate
}

// Reach is what the proxies of one cluster know of services that other clusters back.
type Reach struct {
	Problem string
	// Proxies that were read, of Total that there are.
	Proxies, Total int
	// Unseen says, by cluster, why the services that it backs could not be looked at.
	Unseen map[string]string
	// Backed are the hosts of the services that a cluster has ready pods with sidecars for and
	// that these proxies know; Reached those of which they have a healthy endpoint there. Both
	// by that cluster.
	Backed, Reached map[string][]string
}

// LoadKey names a load: who sends, to which service of the probe.
type LoadKey struct{ From, Service string }

// Load is a counted number of requests and who answered them.
type Load struct {
	Problem string
	Host    string
	Sent    int
	// Answers counts 2xx by the cluster of the pod that answered, by the UID that the API
	// gives; Unknown are 2xx of something that is no probe pod; Lost is the rest.
	Answers       map[string]int
	Unknown, Lost int
	// LostBefore is what the first try lost, where this is the second.
	LostBefore int
	Outcomes   []probe.Outcome
}

// Within is a call inside of one cluster that every suite rests on, and what may keep it out.
type Within struct {
	Call
	// Policies of the root namespace that may deny something; where the call did not pass, those
	// of the probe's namespace too, and the names of its NetworkPolicies. Both without the probe's
	// own.
	Policies []Policy
	Network  []string
	// Refused says who rejected a rule by which the probe's namespace lets its own requests pass.
	Refused []string
}

// Policy is an AuthorizationPolicy in short.
type Policy struct {
	// Name with namespace.
	Name string
	// Action as Istio names it: ALLOW, DENY or CUSTOM. One that allows and has no rule denies all.
	Action string
	Rules  int
	// Selector of pods; empty means all.
	Selector map[string]string
}

// CallKey names a call of the authorization suite.
type CallKey struct {
	From, To string
	Kind     CallKind
}

// CallKind says who calls what.
type CallKind string

// The calls, with the service account or place that they come from.
const (
	// CallAllowed and CallDenied: the caller's and the stranger's identity, same path.
	CallAllowed CallKind = "allowed"
	CallDenied  CallKind = "denied"
	// CallStrict and CallPermissive: plaintext from outside the mesh to two ports of one pod.
	CallStrict     CallKind = "strict"
	CallPermissive CallKind = "permissive"
	// CallIngress and CallDirect: a path that only the ingress gateway may call.
	CallIngress CallKind = "ingress"
	CallDirect  CallKind = "direct"
	// CallOpen: a path that everybody may call, by the caller; CallEntered: the same through the
	// ingress gateway of the cluster.
	CallOpen    CallKind = "open"
	CallEntered CallKind = "entered"
)

// Call is a handful of equal requests.
type Call struct {
	Problem string
	// Skipped says why the call does not apply.
	Skipped string
	Target  string
	// Host header, where it is not Target's.
	Host     string
	Outcomes []probe.Outcome
	// Clusters of the pods that answered 2xx.
	Clusters []string
	// Foreign names who denied a call and is no Envoy of the mesh.
	Foreign string
}

// OutsideKey names a call of a client outside of the mesh: through the ingress gateway of From
// to the echo of To, or (strict, permissive) straight to it.
type OutsideKey struct {
	Client, From, To string
	Kind             CallKind
}

// LineKey names a time line of the failover suite.
type LineKey struct {
	From, To, Variant string
}

// FaultSeen is a disruptive fault that was made, and how its end was.
type FaultSeen struct {
	Fault
	// Problem says why it could not be taken back, Replaced what somebody else made of it.
	Problem, Replaced string
	// Took is how long it was there.
	Took time.Duration
}

// Line is a steady load under one fault that came and went; times count from its start.
type Line struct {
	Problem string
	// Skipped says why the fault does not apply to the pair.
	Skipped string
	Rate    float64
	Report  probe.RunReport
	// Clusters of the pods in Report.Outcomes, by index; "" where nobody known answered.
	Clusters      []string
	Fault, Repair time.Duration
	// Early counts the answers of the other cluster that were there before the fault. The time line
	// can not tell: its times are those of sending, and what was under way may be answered after.
	Early  int
	Policy map[string]any
}

// pairs are the ordered pairs of which the first shall know the second: requests go there.
func (w *World) pairs() []topology.Pair { return known(w.Topology, w.Clusters) }

// peers of a cluster among those that are judged.
func (w *World) peers(cluster string) []string {
	return slices.DeleteFunc(slices.Clone(w.Topology.Peers(cluster)), func(p string) bool {
		return !slices.Contains(w.Clusters, p)
	})
}

// network of a cluster.
func (w *World) network(cluster string) string {
	if c := w.Topology.Cluster(cluster); c != nil {
		return c.Network
	}
	return ""
}

// planes are the clusters whose istiod serves those that are judged, in file order. An
// external one is not among Clusters.
func (w *World) planes() []string {
	return slices.DeleteFunc(w.Topology.Primaries(), func(primary string) bool {
		return !slices.ContainsFunc(w.Clusters, func(c string) bool { return w.Topology.Primary(c) == primary })
	})
}

// signer is the authority of the istiod that serves a cluster.
func (w *World) signer(cluster string) Signer { return w.Signers[w.Topology.Primary(cluster)] }

// control is what an istiod knows of its peers, with a Problem where nobody looked.
func (w *World) control(plane string) Control {
	if c, ok := w.Controls[plane]; ok {
		return c
	}
	return Control{Problem: "it was not looked at"}
}

// unviewed says why the endpoints in the caller of a cluster are not known; "" when they are.
func (w *World) unviewed(cluster string) string {
	v, ok := w.Views[cluster]
	if ok && v.Problem == "" {
		return ""
	}
	return fmt.Sprintf("the endpoints of the caller in %s could not be read: %s", cluster, or(v.Problem, "nobody looked"))
}

// apart says whether two clusters are in different networks.
func (w *World) apart(a, b string) bool { return w.network(a) != w.network(b) }

// notReady says why the probes of any of the clusters could not be used.
func (w *World) notReady(clusters ...string) string {
	for _, c := range clusters {
		p, ok := w.Probes[c]
		switch {
		case !ok:
			return "no probe was started in " + c
		case p.Problem != "":
			return "the probe in " + c + " could not be used: " + p.Problem
		}
	}
	return ""
}
