// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	securityapi "istio.io/api/security/v1beta1"
	typeapi "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func TestGatewayJudgements(t *testing.T) {
	t.Parallel()
	const west, east, first = "west", "east", 0
	want := healthyKnocks(east).Want
	pair := topology.Pair{From: west, To: east}
	knock := func(kind KnockKind, alter func(*Knock)) func(*World, testPKI) {
		return func(w *World, _ testPKI) { alter(&w.Knocks[pair].Calls[kind][first]) }
	}
	all := func(alter func(*Knocks)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			k := w.Knocks[pair]
			alter(&k)
			w.Knocks[pair] = k
		}
	}
	ended := func(o probe.Outcome, served string) func(*Knock) {
		return func(k *Knock) { k.Outcome, k.Served = o, served }
	}
	timeout := probe.Outcome{Error: probe.ErrTimeout, Count: 1}
	alert := probe.Outcome{Error: probe.ErrTLSAlert, Detail: "remote error: tls: certificate required", Count: 1}
	flat := func(w *World, _ testPKI) {
		for i := range w.Topology.Spec.Clusters {
			w.Topology.Spec.Clusters[i].Network = "one"
		}
		w.Knocks, w.Exposed = nil, nil
	}
	noTwin := all(func(k *Knocks) {
		k.Twin = Call{Outcomes: []probe.Outcome{{Status: 503, Detail: "no healthy upstream", Count: 10}}}
	})
	const cert, sni = "gateway-certificate", "gateway-unknown"
	check(t, []judgement{
		{"broken way", noTwin, "gateway-allowed", west, east, "", Fail, "NET008"},
		{"denied", all(func(k *Knocks) { k.Twin = Call{Outcomes: []probe.Outcome{{Status: 403, Count: 10}}} }), "gateway-allowed", west, east, "", Fail, "AUZ001"},
		{"one address takes nothing", all(func(k *Knocks) { k.Through = map[string]int{gatewayAddress(east): 10} }), "gateway-allowed", west, east, "", Fail, "NET008"},
		{"a hostname's address is not known", all(func(k *Knocks) { k.Addresses[1] = "gw.example.com" }), "gateway-allowed", west, east, "", Pass, ""},
		{"the application counts nothing", all(func(k *Knocks) { k.Counted = 0 }), "gateway-allowed", west, east, "", Inconclusive, ""},
		{"no Gateway", func(w *World, pki testPKI) {
			noTwin(w, pki)
			g := w.Gateways[east]
			g.Exposures = nil
			w.Gateways[east] = g
		}, "gateway-allowed", west, east, "", Fail, "NET005"},
		{"not tried", all(func(k *Knocks) { k.Problem = "no forward" }), "gateway-allowed", west, east, "", Inconclusive, ""},
		{"one network", flat, "gateway-allowed", west, east, "", Skip, ""},

		{"answered", knock(KnockNoCertificate, ended(answer(east, 200, 1), want)), cert, west, east, "no certificate", Fail, "AUZ002"},
		{"the application was reached", knock(KnockForeignRoot, func(k *Knock) { k.Reached = 1 }), cert, west, east, "foreign root", Fail, "AUZ002"},
		{"a time-out is no refusal", knock(KnockForeignRoot, ended(timeout, "")), cert, west, east, "foreign root", Inconclusive, ""},
		{"nor is a closed port", knock(KnockNoCertificate, ended(probe.Outcome{Error: probe.ErrRefused, Count: 1}, "")), cert, west, east, "no certificate", Inconclusive, ""},
		{"ended before the workload", knock(KnockNoCertificate, ended(probe.Outcome{Error: probe.ErrReset, Count: 1}, "")), cert, west, east, "no certificate", Inconclusive, ""},
		{"by another workload", knock(KnockNoCertificate, ended(alert, "spiffe://cluster.local/ns/x/sa/y")), cert, west, east, "no certificate", Inconclusive, ""},
		{"by policy", knock(KnockNoCertificate, ended(probe.Outcome{Status: 403, Count: 1}, want)), cert, west, east, "no certificate", Pass, ""},
		{"could not be made", knock(KnockNoCertificate, func(k *Knock) { k.Problem = "no forward" }), cert, west, east, "no certificate", Inconclusive, ""},
		{"who is allowed is kept out too", noTwin, cert, west, east, "no certificate", Inconclusive, ""},
		{"reached though nobody else is", func(w *World, pki testPKI) {
			noTwin(w, pki)
			knock(KnockNoCertificate, func(k *Knock) { k.Reached = 1 })(w, pki)
		}, cert, west, east, "no certificate", Fail, "AUZ002"},
		{"one network", flat, cert, west, east, "foreign root", Skip, ""},

		{"passed on to a workload that refuses", knock(KnockUnknownSNI, ended(alert, "spiffe://cluster.local/ns/istio-system/sa/istiod")), sni, west, east, "unknown SNI", Fail, "NET015"},
		{"passed on to something that does not say who it is", knock(KnockUnknownSNI, ended(alert, "")), sni, west, east, "unknown SNI", Fail, "NET015"},
		{"HTTP is answered", knock(KnockPlaintext, ended(probe.Outcome{Status: 404, Count: 1}, "")), sni, west, east, "plaintext", Fail, "NET015"},
		{"reached", knock(KnockPlaintext, func(k *Knock) { k.Reached = 2 }), sni, west, east, "plaintext", Fail, "NET015"},
		{"a time-out is no refusal", knock(KnockPlaintext, ended(timeout, "")), sni, west, east, "plaintext", Inconclusive, ""},
		{"not tried at all", all(func(k *Knocks) { delete(k.Calls, KnockUnknownSNI) }), sni, west, east, "unknown SNI", Inconclusive, ""},

		{"some are", func(w *World, _ testPKI) { w.Exposed[east] = Exposed{Ports: 3, Open: []string{"web.shop:80"}} }, "gateway-permissive", "", east, "", Warn, "AUZ008"},
		{"not looked at", func(w *World, _ testPKI) { w.Exposed[east] = Exposed{Problem: "forbidden"} }, "gateway-permissive", "", east, "", Inconclusive, ""},
		{"one network", flat, "gateway-permissive", "", east, "", Skip, ""},
	})
}

func TestRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	for _, tc := range []struct{ id, kind, words string }{
		{"gateway-certificate", "no certificate", "by the workload at 2 of 2 addresses of east: TLS alert: certificate required"},
		{"gateway-certificate", "foreign root", "TLS alert: unknown certificate authority"},
		{"gateway-unknown", "unknown SNI", "by the gateway at 2 of 2 addresses of east: connection reset"},
		{"gateway-unknown", "plaintext", "connection closed"},
	} {
		if r := find(t, w, tc.id, "west", "east", tc.kind); !strings.Contains(r.Message, tc.words) {
			t.Errorf("%q is missing: %s", tc.words, r.Message)
		}
	}
}

// TestAGatewayWithNothingBehindItProvesNothing: that no workload was seen is no proof of all.
func TestAGatewayWithNothingBehindItProvesNothing(t *testing.T) {
	t.Parallel()
	w, _ := healthy(t)
	w.Exposed["east"] = Exposed{}
	if r := find(t, w, "gateway-permissive", "", "east", ""); r.Status != Skip || r.NotApplicable {
		t.Errorf("%s: %s", r.Status, r.Message)
	}
}

func policyOf(namespace, name string, age int, selector map[string]string, mode securityapi.PeerAuthentication_MutualTLS_Mode, ports map[uint32]*securityapi.PeerAuthentication_MutualTLS) *securityv1.PeerAuthentication {
	p := &securityv1.PeerAuthentication{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(1000-age), 0))}}
	p.Spec.Mtls, p.Spec.PortLevelMtls = &securityapi.PeerAuthentication_MutualTLS{Mode: mode}, ports
	if selector != nil {
		p.Spec.Selector = &typeapi.WorkloadSelector{MatchLabels: selector}
	}
	return p
}

func TestModeOfAWorkload(t *testing.T) {
	t.Parallel()
	const (
		unset      = securityapi.PeerAuthentication_MutualTLS_UNSET
		strict     = securityapi.PeerAuthentication_MutualTLS_STRICT
		permissive = securityapi.PeerAuthentication_MutualTLS_PERMISSIVE
		disable    = securityapi.PeerAuthentication_MutualTLS_DISABLE
	)
	web := map[string]string{"app": "web"}
	mesh := policyOf("istio-system", "default", 9, nil, strict, nil)
	for name, tc := range map[string]struct {
		policies []*securityv1.PeerAuthentication
		port     int
		want     string
	}{
		"nothing":                       {nil, 80, "PERMISSIVE"},
		"the mesh":                      {[]*securityv1.PeerAuthentication{mesh}, 80, "STRICT"},
		"the namespace wins":            {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "a", 1, nil, permissive, nil)}, 80, "PERMISSIVE"},
		"what it leaves open":           {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "a", 1, nil, unset, nil)}, 80, "STRICT"},
		"another namespace":             {[]*securityv1.PeerAuthentication{mesh, policyOf("bank", "a", 1, nil, disable, nil)}, 80, "STRICT"},
		"the oldest":                    {[]*securityv1.PeerAuthentication{policyOf("shop", "new", 1, nil, strict, nil), policyOf("shop", "old", 5, nil, disable, nil)}, 80, "DISABLE"},
		"the workload":                  {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "w", 1, web, disable, nil)}, 80, "DISABLE"},
		"another workload":              {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "w", 1, map[string]string{"app": "db"}, disable, nil)}, 80, "STRICT"},
		"its port":                      {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "w", 1, web, unset, map[uint32]*securityapi.PeerAuthentication_MutualTLS{80: {Mode: permissive}})}, 80, "PERMISSIVE"},
		"another port":                  {[]*securityv1.PeerAuthentication{mesh, policyOf("shop", "w", 1, web, unset, map[uint32]*securityapi.PeerAuthentication_MutualTLS{81: {Mode: permissive}})}, 80, "STRICT"},
		"a selector in istio-system is": {[]*securityv1.PeerAuthentication{mesh, policyOf("istio-system", "w", 1, web, disable, nil)}, 80, "STRICT"},
	} {
		if got := mtlsMode(tc.policies, "shop", labels.Set(web), tc.port); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestPermissivePortsBehindAGateway(t *testing.T) {
	t.Parallel()
	pod := func(namespace, name, address string, sidecar bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
			Status: corev1.PodStatus{PodIP: address, Phase: corev1.PodRunning}}
		if sidecar {
			p.Spec.Containers = []corev1.Container{{Name: "istio-proxy"}}
		}
		return p
	}
	route := func(port, host, address string, target int) envoyCluster {
		return envoyCluster{Name: "outbound_." + port + "_._." + host + ".svc.cluster.local", Endpoints: []Endpoint{{Address: address, Port: target}}}
	}
	routes := []envoyCluster{
		route("80", "web.shop", "10.0.0.1", 8080), route("443", "web.shop", "10.0.0.1", 8443), route("80", "db.shop", "10.0.0.2", 80),
		route("53", "dns.kube-system", "10.0.0.3", 53), route("8080", "echo.meshfed-verify", "10.0.0.4", 8080), {Name: "outbound_.80_._.none.shop.svc.cluster.local"},
	}
	pods := []corev1.Pod{pod("shop", "web", "10.0.0.1", true), pod("shop", "db", "10.0.0.2", true), pod("kube-system", "dns", "10.0.0.3", false), pod(testNamespace, "echo", "10.0.0.4", true)}
	policies := []*securityv1.PeerAuthentication{
		policyOf("shop", "web", 1, map[string]string{"app": "web"}, securityapi.PeerAuthentication_MutualTLS_STRICT,
			map[uint32]*securityapi.PeerAuthentication_MutualTLS{8443: {Mode: securityapi.PeerAuthentication_MutualTLS_PERMISSIVE}}),
	}
	ports, found := open(routes, pods, policies, testNamespace)
	if ports != 3 || !slices.Equal(found, []string{"db.shop:80", "web.shop:443"}) {
		t.Errorf("%d ports, permissive %q", ports, found)
	}
}

func TestAnsweredByAddress(t *testing.T) {
	t.Parallel()
	page := `{"cluster_statuses":[{"name":"a","host_statuses":[
		{"address":{"socket_address":{"address":"10.0.0.1"}},"stats":[{"name":"cx_total","value":"9"},{"name":"rq_success","value":"4"}]},
		{"address":{"socket_address":{"address":"10.0.0.2"}},"stats":[{"name":"rq_success"}]}]},
		{"name":"b","host_statuses":[{"address":{"socket_address":{"address":"10.0.0.1"}},"stats":[{"name":"rq_success","value":"7"}]}]}]}`
	got, err := parseAnswered([]byte(page), "a")
	if err != nil || got["10.0.0.1"] != 4 || got["10.0.0.2"] != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
