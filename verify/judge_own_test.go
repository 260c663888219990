// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"
	"strings"
	"testing"

	securityapi "istio.io/api/security/v1beta1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func TestOwnServicesJudgements(t *testing.T) {
	t.Parallel()
	const west, east, web = "west", "east", "web.shop"
	own := func(c string, alter func(*OwnService)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			o := w.Own[c].Services[web]
			alter(&o)
			w.Own[c].Services[web] = o
		}
	}
	seen := func(alter func(*OwnView)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			v := w.Callers[OwnKey{west, web}]
			alter(&v)
			w.Callers[OwnKey{west, web}] = v
		}
	}
	all := func(steps ...func(*World, testPKI)) func(*World, testPKI) {
		return func(w *World, pki testPKI) {
			for _, step := range steps {
				step(w, pki)
			}
		}
	}
	alone := seen(func(v *OwnView) { v.Endpoints = []Endpoint{near(west, 1)} })
	flat := func(w *World, _ testPKI) {
		for i := range w.Topology.Spec.Clusters {
			w.Topology.Spec.Clusters[i].Network = "one"
		}
	}
	ends := func(o ...probe.Outcome) func(*World, testPKI) {
		return seen(func(v *OwnView) { v.Call.Outcomes = o })
	}
	none := func(w *World, _ testPKI) { w.Topology.Spec.Services = nil }
	policies := func(p ...*securityv1.AuthorizationPolicy) func(*World, testPKI) {
		return own(east, func(o *OwnService) { o.Policies = p })
	}
	callers := func(names ...string) func(*World, testPKI) {
		return func(w *World, _ testPKI) { w.Topology.Spec.Services[0].Callers = names }
	}
	here := func(names ...string) func(*World, testPKI) {
		return seen(func(v *OwnView) { v.Callers = names })
	}
	rules := func(r ...*networkingv1.DestinationRule) func(*World, testPKI) {
		return own(west, func(o *OwnService) { o.Rules = r })
	}
	shopOnly := own(west, func(o *OwnService) { o.ExportTo = []string{"."} })
	const whole = "web.shop.svc.cluster.local"
	check(t, []judgement{
		{"none is named", none, "services-covered", "", "", "", Skip, ""},
		{"not listed", func(w *World, _ testPKI) { w.Own[east] = Own{Problem: "forbidden"} }, "services-covered", "", "", "", Inconclusive, ""},

		{"another name", own(east, func(o *OwnService) { o.Ports = []string{"web 80/TCP"} }), "services-ports", "", east, web, Fail, "FED013"},
		{"one more", own(east, func(o *OwnService) { o.Ports = []string{"http 80/TCP", "metrics 9090/TCP"} }), "services-ports", "", east, web, Fail, "FED013"},
		{"one less", own(west, func(o *OwnService) { o.Ports = []string{"http 80/TCP", "metrics 9090/TCP"} }), "services-ports", "", east, web, Fail, "FED013"},
		{"missing", own(east, func(o *OwnService) { *o = OwnService{Absent: true} }), "services-ports", "", east, web, Fail, "SVC001"},
		{"not looked at", own(east, func(o *OwnService) { o.Problem = "forbidden" }), "services-ports", "", east, web, Inconclusive, ""},

		{"none is ready", own(east, func(o *OwnService) { o.Ready = nil }), "services-endpoints", "", east, web, Fail, "SVC001"},
		{"missing", own(east, func(o *OwnService) { *o = OwnService{Absent: true} }), "services-endpoints", "", east, web, Skip, ""},

		{"no sidecar", own(east, func(o *OwnService) { o.Sidecars = 0 }), "services-mtls", "", east, web, Fail, "NET011"},
		{"no sidecar in one network", all(flat, own(east, func(o *OwnService) { o.Sidecars = 0 })), "services-mtls", "", east, web, Warn, "NET011"},
		{"off", own(east, func(o *OwnService) { o.Modes = []string{"DISABLE", "STRICT"} }), "services-mtls", "", east, web, Fail, "NET011"},
		{"permissive", own(east, func(o *OwnService) { o.Modes = []string{"PERMISSIVE"} }), "services-mtls", "", east, web, Pass, ""},
		{"no pods", own(east, func(o *OwnService) { o.Pods = 0 }), "services-mtls", "", east, web, Inconclusive, ""},

		{"others", own(east, func(o *OwnService) { o.Policies = nil }), "services-policies", "", east, web, Warn, "AUZ006"},
		{"the same with other rules", own(east, func(o *OwnService) { o.Policies = []*securityv1.AuthorizationPolicy{authz("shop/web", policyAllow)} }), "services-policies", "", east, web, Warn, "AUZ006"},

		{"let in", policies(authz("shop/web", policyAllow, fromPrincipal("cluster.local/ns/shop/sa/caller"))), "services-callers", "", east, web, Pass, ""},
		{"kept out", policies(authz("shop/web", policyAllow, fromPrincipal("cluster.local/ns/shop/sa/other"))), "services-callers", "", east, web, Fail, "AUZ001"},
		{"kept out in one cluster only", policies(authz("shop/web", policyDeny, &securityapi.Rule{})), "services-callers", "", west, web, Pass, ""},
		{"one of two is kept out", all(callers("shop/caller", "bank/api"), policies(authz("shop/web", policyAllow, fromPrincipal("cluster.local/ns/shop/sa/caller")))), "services-callers", "", east, web, Fail, "AUZ001"},
		{"one of its pods keeps out", all(own(east, func(o *OwnService) { o.Workloads = append(o.Workloads, labels.Set{"app": "new"}) }),
			func(w *World, pki testPKI) { policies(selecting(authz("shop/new", policyAllow), "new"))(w, pki) }), "services-callers", "", east, web, Fail, "AUZ001"},
		{"it depends", policies(authz("shop/web", policyDeny, to(&securityapi.Rule{}, &securityapi.Operation{Paths: []string{"/admin"}}))), "services-callers", "", east, web, Warn, ""},
		{"an external authorizer", policies(authz("shop/web", policyCustom, &securityapi.Rule{})), "services-callers", "", east, web, Warn, ""},
		{"nobody says who calls", all(policies(authz("shop/web", policyAllow, fromPrincipal("*"))), own(east, func(o *OwnService) { o.Modes = []string{"DISABLE"} })), "services-callers", "", east, web, Warn, ""},
		{"no caller is named", callers(), "services-callers", "", east, web, Skip, ""},
		{"no pods", own(east, func(o *OwnService) { o.Workloads = nil }), "services-callers", "", east, web, Inconclusive, ""},
		{"not looked at", own(east, func(o *OwnService) { o.Problem = "forbidden" }), "services-callers", "", east, web, Inconclusive, ""},

		{"hidden from the caller", all(shopOnly, here("bank/api")), "services-reach", west, east, web, Fail, "FED018"},
		{"hidden from another caller", all(shopOnly, here("shop/caller", "bank/api")), "services-reach", west, east, web, Fail, "FED018"},
		{"hidden from others", shopOnly, "services-reach", west, east, web, Pass, ""},
		{"hidden in the other cluster, which does not count", all(own(east, func(o *OwnService) { o.ExportTo = []string{"."} }), here("bank/api")), "services-reach", west, east, web, Pass, ""},
		{"hidden in the only cluster that it lives in", all(own(west, func(o *OwnService) { *o = OwnService{Absent: true} }), own(east, func(o *OwnService) { o.ExportTo = []string{"."} }), here("bank/api")),
			"services-reach", west, east, web, Fail, "FED018"},
		{"hidden in one of two others, and nobody knows which counts", all(own(west, func(o *OwnService) { *o = OwnService{Absent: true} }), func(w *World, _ testPKI) {
			w.Topology.Spec.Clusters = append(w.Topology.Spec.Clusters, topology.Cluster{Name: "north", Network: "north", Primary: "north", Config: "north"})
			w.Clusters = append(w.Clusters, "north")
			w.Own["north"] = Own{Services: map[string]OwnService{web: {ExportTo: []string{"."}}}}
		}, here("bank/api")), "services-reach", west, east, web, Pass, ""},
		{"hidden, and the own Service was not seen", all(own(west, func(o *OwnService) { o.Problem = "forbidden" }), own(east, func(o *OwnService) { o.ExportTo = []string{"."} }), here("bank/api")),
			"services-reach", west, east, web, Pass, ""},
		{"hidden from verify's own caller", all(shopOnly, here(), seen(func(v *OwnView) { v.In, v.Known, v.Endpoints = "meshfed-verify/caller", false, nil })), "services-reach", west, east, web, Inconclusive, ""},

		{"no endpoint", alone, "services-reach", west, east, web, Fail, "FED011"},
		{"none because none is ready", all(alone, own(east, func(o *OwnService) { o.Ready = nil })), "services-reach", west, east, web, Fail, "SVC001"},
		{"none because of the sidecar", all(alone, own(east, func(o *OwnService) { o.Sidecars = 0 })), "services-reach", west, east, web, Fail, "NET011"},
		{"none because of the remote secret", all(alone, func(w *World, _ testPKI) { w.Controls[west] = Control{Secrets: map[string]string{}} }), "services-reach", west, east, web, Fail, "FED001"},
		{"none because of the ports", all(alone, own(east, func(o *OwnService) { o.Ports = []string{"web 80/TCP"} })), "services-reach", west, east, web, Fail, "FED013"},
		{"unhealthy", seen(func(v *OwnView) { v.Endpoints[1].Healthy = false }), "services-reach", west, east, web, Fail, "FED011"},
		{"not asked", seen(func(v *OwnView) { v.Problem = "no forward" }), "services-reach", west, east, web, Inconclusive, ""},
		{"lives in the caller's cluster only", func(w *World, _ testPKI) { w.Topology.Spec.Services[0].Clusters = []string{west} }, "services-reach", west, east, "", Skip, ""},

		{"no outlier detection", seen(func(v *OwnView) { v.Outlier = "" }), "services-failover", west, east, web, Fail, "LOC002"},
		{"one priority", seen(func(v *OwnView) { v.Endpoints[1].Priority = 0 }), "services-failover", west, east, web, Fail, "LOC003"},
		{"one priority in one locality", all(oneLocality(topology.Locality{}, false), seen(func(v *OwnView) { v.Endpoints[1].Priority = 0 })), "services-failover", west, east, web, Skip, ""},
		{"not asked for", func(w *World, _ testPKI) { w.Topology.Spec.Services[0].Failover = false }, "services-failover", west, east, web, Skip, ""},
		{"nothing to fail over between", alone, "services-failover", west, east, web, Skip, ""},
		{"another caller's rule sets none", all(here("shop/caller", "bank/api"), rules(destination("shop/web", whole), plain(destination("bank/web", whole)))), "services-failover", west, east, web, Fail, "LOC002"},
		{"another caller's rule does", all(here("shop/caller", "bank/api"), rules(destination("shop/web", whole))), "services-failover", west, east, web, Pass, ""},
		{"the rule is for some of another's pods", all(here("shop/caller", "bank/api"), rules(destination("shop/web", whole, "*"), plain(destination("shop/api", whole, "bank")))), "services-failover", west, east, web, Warn, ""},
		{"another caller, and rules were not seen", all(here("shop/caller", "bank/api"), own(west, func(o *OwnService) { o.Problem = "forbidden" })), "services-failover", west, east, web, Inconclusive, ""},

		{"some are lost", ends(answer(west, 200, 19), probe.Outcome{Status: 503, Count: 1}), "services-probe", west, "", web, Fail, "SVC002"},
		{"another path", ends(probe.Outcome{Status: 404, Count: 20}), "services-probe", west, "", web, Fail, "SVC002"},
		{"redirected", ends(probe.Outcome{Status: 302, Count: 20}), "services-probe", west, "", web, Pass, ""},
		{"not let in", ends(probe.Outcome{Status: 403, Count: 20}), "services-probe", west, "", web, Inconclusive, ""},
		{"not sent", seen(func(v *OwnView) { v.Call = Call{Problem: "no port of it is named http"} }), "services-probe", west, "", web, Inconclusive, ""},
	})
	w, pki := healthy(t)
	none(w, pki)
	if r := find(t, w, "services-covered", "", "", ""); !r.NotApplicable || !strings.HasPrefix(r.Message, "covers probes only, 0 of 1 shared services") {
		t.Errorf("%+v", r)
	}
}

func TestTheUsersServicesAreTold(t *testing.T) {
	t.Parallel()
	var list []corev1.Service
	for _, name := range []string{"shop/web", "default/kubernetes", "default/api", "kube-system/dns", "istio-system/istiod", "metallb-system/hook", "meshfed-verify/echo"} {
		namespace, short, _ := strings.Cut(name, "/")
		list = append(list, namedService(namespace, short))
	}
	if got := usersServices(list, testNamespace); !slices.Equal(got, []string{"api.default", "web.shop"}) {
		t.Errorf("%q", got)
	}
}

func namedService(namespace, name string) corev1.Service {
	return corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func TestPortsOfAService(t *testing.T) {
	t.Parallel()
	grpc := "grpc"
	s := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "tcp-db", Port: 5432, Protocol: corev1.ProtocolTCP}, {Name: "x", Port: 9000, AppProtocol: &grpc}, {Name: "http-web", Port: 80}, {Port: 53, Protocol: corev1.ProtocolUDP}}}}
	if got := ports(s); !slices.Equal(got, []string{"(unnamed) 53/UDP", "http-web 80/TCP", "tcp-db 5432/TCP", "x 9000/TCP grpc"}) {
		t.Errorf("%q", got)
	}
	if got := httpPort(s); got != 9000 {
		t.Errorf("HTTP on %d", got)
	}
	if got := httpPort(&corev1.Service{Spec: corev1.ServiceSpec{Ports: s.Spec.Ports[:1]}}); got != 0 {
		t.Errorf("HTTP on %d of a service without", got)
	}
}

func TestReadyAddresses(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	got := readyAddresses([]discoveryv1.EndpointSlice{{Endpoints: []discoveryv1.Endpoint{
		{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}, {Addresses: []string{"10.0.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}}}},
		{Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"10.0.0.2"}}}}})
	if !slices.Equal(got, []string{"10.0.0.1", "10.0.0.2"}) {
		t.Errorf("%q", got)
	}
}

// TestEvidenceOfAClusterOfAnyName: a cluster may be called what a piece of evidence is called.
func TestEvidenceOfAClusterOfAnyName(t *testing.T) {
	t.Parallel()
	const web = "web.shop"
	for id, key := range map[string]string{"services-ports": "ports", "services-policies": "policies"} {
		top := testTopology()
		top.Spec.Clusters[0].Name = key
		top.Spec.Services = []topology.Service{{Host: web}}
		w := &World{Topology: top, Clusters: top.Names(), Own: map[string]Own{
			key:    {Services: map[string]OwnService{web: {Pods: 1, Ports: []string{"http 80/TCP"}, Policies: []*securityv1.AuthorizationPolicy{authz("shop/web", policyAllow)}}}},
			"east": {Services: map[string]OwnService{web: {Pods: 1, Ports: []string{"web 80/TCP"}}}},
		}}
		judge := judgeOwnPorts
		if key == "policies" {
			judge = judgeOwnPolicies
		}
		for _, r := range judge(w) {
			if r.To != "east" {
				continue
			}
			theirs, _ := r.Evidence["comparedWith"].(map[string]any)
			own, _ := r.Evidence[key].([]string)
			other, _ := theirs[key].([]string)
			if r.Code == "" || slices.Equal(own, other) || len(other) != 1 {
				t.Errorf("%s: %s, evidence %v", id, r.Line(), r.Evidence)
			}
		}
	}
}
