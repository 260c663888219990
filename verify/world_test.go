// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

const testNamespace = "meshfed-verify"

func testTopology() *topology.Topology {
	cluster := func(name, region string) topology.Cluster {
		return topology.Cluster{Name: name, Network: name + "-network", Primary: name, Config: name,
			Locality: topology.Locality{Region: region, Zone: region + "-1"}, Ingress: &topology.Ingress{}}
	}
	t := &topology.Topology{Metadata: topology.Metadata{Name: "usmesh"}}
	t.Spec.Clusters = []topology.Cluster{cluster("west", "us-west"), cluster("east", "us-east")}
	t.Spec.Mesh = topology.Mesh{ID: "usmesh", TrustDomain: "cluster.local"}
	t.Spec.Verify.Probe.Namespace, t.Spec.Verify.Proxies = testNamespace, 20
	t.Spec.Verify.Failover = topology.Failover{Rate: 20, Within: topology.Duration(5 * time.Second), LostAtMost: 10, BackWithin: topology.Duration(10 * time.Second)}
	return t
}

func testRoot(t *testing.T) *certs.Root {
	t.Helper()
	root, err := certs.NewRoot(certs.Options{CommonName: "root.usmesh", Organization: "usmesh", Algorithm: "ECDSA-P256", Lifetime: 87600 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// testSigner is an intermediate of root and the key to sign leaves with.
func testSigner(t *testing.T, root *certs.Root, name string) (Signer, any) {
	t.Helper()
	ca, err := root.NewCACerts(certs.Options{CommonName: name, Organization: "usmesh", Algorithm: "ECDSA-P256", Lifetime: 17520 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	intermediate, err := ca.Intermediate()
	if err != nil {
		t.Fatal(err)
	}
	return Signer{Root: root.Certificate, Intermediate: intermediate, Changed: time.Now().Add(-time.Hour)}, testKey(t, ca.CAKey)
}

func testKey(t *testing.T, data []byte) any {
	t.Helper()
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err == nil {
		return key
	}
	own, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// leaf is what a workload would serve; alter may change it before it is signed.
func leaf(t *testing.T, signer *x509.Certificate, key any, alter func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/" + testNamespace + "/sa/echo"}},
	}
	if alter != nil {
		alter(template)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, own.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testPKI holds what the trust tests need to break things with.
type testPKI struct {
	root *certs.Root
	keys map[string]any
}

// healthy is a world of two clusters in which every check passes.
func healthy(t *testing.T) (*World, testPKI) {
	t.Helper()
	top := testTopology()
	top.Spec.Services = []topology.Service{{Host: "web.shop", Failover: true, Callers: []string{"shop/caller"}, Probe: &topology.ServiceProbe{Path: "/", Requests: 20}}}
	w := &World{Topology: top, Clusters: top.Names(), Namespace: testNamespace, TrustDomain: "cluster.local", Now: time.Now(),
		Took:    map[Fact]time.Duration{FactWire: 1500 * time.Millisecond},
		Signers: map[string]Signer{}, Roots: map[string]Roots{}, Controls: map[string]Control{}, Nodes: map[string]Nodes{},
		Gateways: map[string]Gateway{}, Probes: map[string]Probes{}, Wire: map[topology.Pair]Wire{}, Views: map[string]Views{},
		Loads: map[LoadKey]Load{}, Calls: map[CallKey]Call{}, Lines: map[LineKey]Line{},
		Knocks: map[topology.Pair]Knocks{}, Exposed: map[string]Exposed{}, Names: map[NameKey]Name{},
		Own: map[string]Own{}, Callers: map[OwnKey]OwnView{},
		Outside: map[OutsideKey]Call{}, OutsideClients: []string{OutsideHost, OutsideContainer},
	}
	pki := testPKI{root: testRoot(t), keys: map[string]any{}}
	for _, c := range w.Clusters {
		w.Signers[c], pki.keys[c] = testSigner(t, pki.root, c+".intermediate")
		print := []string{certs.Fingerprint(pki.root.Certificate)}
		w.Roots[c] = Roots{ByNamespace: map[string][]string{testNamespace: print, "istio-system": print}}
	}
	for i, c := range w.Clusters {
		healthyCluster(w, c, w.Clusters[1-i], i)
	}
	w.Held, w.Reach = map[string]Held{}, map[string]Reach{}
	for i, c := range w.Clusters {
		held := Held{Total: 2}
		for _, pod := range []string{"istio-system/gw-1", "shop/web-1"} {
			held.Proxies = append(held.Proxies, Holder{pod, []*x509.Certificate{leaf(t, w.Signers[c].Intermediate, pki.keys[c], nil), w.Signers[c].Intermediate},
				[]*x509.Certificate{pki.root.Certificate}})
		}
		w.Held[c] = held
		shared := map[string][]string{w.Clusters[1-i]: {"web.shop.svc.cluster.local"}}
		w.Reach[c] = Reach{Proxies: 2, Backed: shared, Reached: shared}
	}
	for _, from := range w.Clusters {
		for _, to := range w.Clusters {
			w.Wire[topology.Pair{From: from, To: to}] = Wire{Addr: "10.89.0.200:15443", SNI: "outbound_.8080_._.echo-" + to,
				Want:  "spiffe://cluster.local/ns/" + testNamespace + "/sa/echo",
				Chain: []*x509.Certificate{leaf(t, w.Signers[to].Intermediate, pki.keys[to], nil), w.Signers[to].Intermediate, pki.root.Certificate}}
		}
	}
	return w, pki
}

func gatewayAddress(cluster string) string {
	return map[string]string{"west": "10.89.0.201", "east": "10.89.0.202"}[cluster]
}

// near and far are the endpoints that a caller has of its own cluster and of the other.
func near(cluster string, weight int) Endpoint {
	return Endpoint{Address: "10.10.0.7", Port: 8080, Weight: weight, Healthy: true, Cluster: cluster}
}

func far(cluster string, weight, priority int) Endpoint {
	return Endpoint{Address: gatewayAddress(cluster), Port: 15443, Weight: weight, Priority: priority, Healthy: true, Cluster: cluster, Gateway: true}
}

func answer(cluster string, status, count int) probe.Outcome {
	return probe.Outcome{Pod: "echo", UID: cluster, Status: status, Count: count}
}

func healthyCluster(w *World, c, peer string, i int) {
	region := []string{"us-west", "us-east"}[i]
	w.Controls[c] = Control{Secrets: map[string]string{peer: "istio-remote-secret-" + peer},
		Replicas: []Istiod{{Pod: "istiod-1", Started: w.Now.Add(-time.Minute), Peers: map[string]string{c: "synced", peer: "synced"}}}}
	w.Nodes[c] = Nodes{Localities: map[string]topology.Locality{c + "-control-plane": {Region: region, Zone: region + "-1"}}}
	w.Gateways[c] = Gateway{Addresses: []string{gatewayAddress(c)}, Exposures: []string{"istio-system/cross-network-gateway"},
		Replicas: []GatewayReplica{{Pod: "gw-1", Ready: true, Listening: true, Routed: true, Healthy: 1}}}
	h := func(s string) string { return host(testNamespace, s) }
	w.Probes[c] = Probes{Ready: map[string]int{"echo": 1, "local": 1, serviceHeavy(c): heavy, serviceHeavy(peer): 1}}
	w.Views[c] = Views{Proxies: 5, Total: 5, Services: map[string][]Endpoint{
		h("echo"):             {near(c, 1), far(peer, 1, 0)},
		h("local"):            {near(c, 1), far(peer, 1, 1)},
		h(serviceHeavy(c)):    {near(c, 1), near(c, 1), near(c, 1), far(peer, 1, 0)},
		h(serviceHeavy(peer)): {near(c, 1), far(peer, heavy, 0)},
	}}
	load := func(own, other int) Load {
		return Load{Host: "h", Sent: own + other, Answers: map[string]int{c: own, peer: other}, Outcomes: []probe.Outcome{answer(c, 200, own), answer(peer, 200, other)}}
	}
	w.Loads[LoadKey{c, "echo"}] = load(100, 100)
	w.Loads[LoadKey{c, serviceHeavy(c)}] = load(150, 50)
	w.Loads[LoadKey{c, serviceHeavy(peer)}] = load(50, 150)
	w.Loads[LoadKey{c, "local"}] = load(40, 0)
	call := func(cluster string, o probe.Outcome) Call {
		out := Call{Target: "http://echo", Outcomes: []probe.Outcome{o}}
		if o.OK() {
			out.Clusters = []string{cluster}
		}
		return out
	}
	w.Calls[CallKey{c, peer, CallAllowed}] = call(peer, answer(peer, 200, 5))
	w.Calls[CallKey{c, peer, CallDenied}] = call(peer, probe.Outcome{Status: 403, Count: 5, Detail: "RBAC: access denied"})
	w.Calls[CallKey{c, peer, CallIngress}] = call(peer, answer(peer, 200, 5))
	w.Calls[CallKey{c, peer, CallDirect}] = call(peer, probe.Outcome{Status: 403, Count: 5})
	w.Calls[CallKey{c, c, CallStrict}] = call(c, probe.Outcome{Error: probe.ErrReset, Count: 5})
	w.Calls[CallKey{c, c, CallPermissive}] = call(c, answer(c, 200, 5))
	for _, client := range w.OutsideClients {
		w.Outside[OutsideKey{client, c, c, CallIngress}] = call(c, answer(c, 200, 1))
		w.Outside[OutsideKey{client, c, peer, CallIngress}] = call(peer, answer(peer, 200, 1))
		w.Outside[OutsideKey{client, c, c, CallDenied}] = call(c, probe.Outcome{Status: 403, Count: 1, Detail: "RBAC: access denied"})
		w.Outside[OutsideKey{client, c, c, CallPermissive}] = call(c, answer(c, 200, 1))
		w.Outside[OutsideKey{client, c, c, CallStrict}] = call(c, probe.Outcome{Error: probe.ErrReset, Count: 1})
	}
	w.Own[c] = Own{Names: []string{c + ".shop", "web.shop"}, Services: map[string]OwnService{"web.shop": {Ports: []string{"http 80/TCP"}, HTTP: 80,
		Ready: []string{"10.10.0.7"}, Pods: 1, Sidecars: 1, Modes: []string{"STRICT"}, Workloads: []labels.Set{{"app": "web"}},
		Policies: []*securityv1.AuthorizationPolicy{authz("shop/web", policyAllow, fromPrincipal("cluster.local/ns/shop/sa/caller"))}}}}
	w.Callers[OwnKey{c, "web.shop"}] = OwnView{In: "shop/caller", Callers: []string{"shop/caller"}, Known: true, Endpoints: []Endpoint{near(c, 1), far(peer, 1, 1)}, Outlier: `{"consecutive_5xx":5}`,
		Call: Call{Target: "http://web.shop", Outcomes: []probe.Outcome{answer(c, 200, 20)}}}
	for _, alone := range []bool{false, true} {
		w.Names[NameKey{c, peer, alone}] = Name{Host: host(testNamespace, serviceOnly(peer)), Addresses: []string{"10.100.0.9"}, Captured: true,
			Call: Call{Outcomes: []probe.Outcome{answer(peer, 200, 5)}, Clusters: []string{peer}}}
	}
	w.Exposed[c] = Exposed{Ports: 2}
	w.Knocks[topology.Pair{From: c, To: peer}] = healthyKnocks(peer)
	for _, f := range faultKinds(true) {
		l := testLine(c, peer, 10, 30, phase{10, 0}, phase{2, 2}, phase{18, 1}, phase{5, 1}, phase{15, 0})
		if f.disruptive() {
			l = testLine(c, peer, 10, 30, phase{10, alternating}, phase{2, 2}, phase{23, 0}, phase{15, alternating})
		}
		l.Policy = policyEvidence(f)
		w.Lines[LineKey{c, peer, f.variant()}] = l
	}
	w.Disruptive = true
	w.Faults = append(w.Faults, FaultSeen{Fault: Fault{Kind: FaultGateway, Cluster: c, Object: "Deployment istio-system/istio-eastwestgateway", Replicas: 1}},
		FaultSeen{Fault: Fault{Kind: FaultNetwork, Cluster: c, Object: "Node " + c + "-1", Cut: []string{peer}}})
}

// healthyKnocks are refused as they should be, at two addresses.
func healthyKnocks(to string) Knocks {
	alert := func(words string) probe.Outcome {
		return probe.Outcome{Error: probe.ErrTLSAlert, Detail: "Get x: remote error: tls: " + words, Count: 1}
	}
	k := Knocks{Addresses: []string{gatewayAddress(to), "10.89.0.210"}, Calls: map[KnockKind][]Knock{}, Want: "spiffe://cluster.local/ns/" + testNamespace + "/sa/echo",
		Twin: Call{Outcomes: []probe.Outcome{answer(to, 200, 10)}, Clusters: []string{to}}, Through: map[string]int{gatewayAddress(to): 5, "10.89.0.210": 5}, Counted: 10}
	for _, a := range k.Addresses {
		for kind, c := range map[KnockKind]Knock{
			KnockNoCertificate: {Outcome: alert("certificate required"), Served: k.Want},
			KnockForeignRoot:   {Outcome: alert("unknown certificate authority"), Served: k.Want},
			KnockUnknownSNI:    {Outcome: probe.Outcome{Error: probe.ErrReset, Count: 1}},
			KnockPlaintext:     {Outcome: probe.Outcome{Error: probe.ErrClosed, Count: 1}},
		} {
			c.Address = a + ":15443"
			k.Calls[kind] = append(k.Calls[kind], c)
		}
	}
	return k
}

// phase is a number of buckets with two requests each: outcome 0 is local, 1 remote, 2 lost.
type phase struct{ buckets, outcome int }

// alternating is a phase in which one request is answered locally and one remotely.
const alternating = 3

func testLine(from, to string, fault, repair int, phases ...phase) Line {
	l := Line{Rate: 20, Clusters: []string{from, to, from},
		Fault: time.Duration(fault) * probe.BucketWidth, Repair: time.Duration(repair) * probe.BucketWidth}
	l.Report.Outcomes = []probe.Outcome{answer(from, 200, 0), answer(to, 200, 0), answer(from, 500, 0)}
	at := 0
	for _, p := range phases {
		for range p.buckets {
			counts := map[int]int{p.outcome: 2}
			if p.outcome == alternating {
				counts = map[int]int{0: 1, 1: 1}
			}
			l.Report.Timeline = append(l.Report.Timeline, probe.Bucket{At: time.Duration(at) * probe.BucketWidth, Counts: counts})
			for outcome, n := range counts {
				l.Report.Outcomes[outcome].Count += n
			}
			l.Report.Sent += 2
			at++
		}
	}
	return l
}
