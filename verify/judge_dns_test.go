// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/probe"
)

func TestDNSJudgements(t *testing.T) {
	t.Parallel()
	const west, east = "west", "east"
	set := func(alone bool, alter func(*World, *Name)) func(*World, testPKI) {
		return func(w *World, _ testPKI) {
			n := w.Names[NameKey{west, east, alone}]
			alter(w, &n)
			w.Names[NameKey{west, east, alone}] = n
		}
	}
	none := func(n *Name) {
		n.Addresses, n.Error, n.Detail, n.Call = nil, probe.ErrDNS, "lookup x: no such host", Call{}
	}
	lost := Call{Outcomes: []probe.Outcome{{Status: 503, Detail: "no healthy upstream", Count: 5}}}
	local := Call{Outcomes: []probe.Outcome{answer(west, 200, 5)}, Clusters: []string{west}}
	const stub, proxied = "dns-stub", "dns-proxied"
	check(t, []judgement{
		{"not found", set(false, func(_ *World, n *Name) { none(n) }), stub, west, east, "", Fail, "FED014"},
		{"no answer", set(false, func(_ *World, n *Name) { none(n); n.Error = probe.ErrTimeout }), stub, west, east, "", Inconclusive, ""},
		{"found and lost", set(false, func(_ *World, n *Name) { n.Call = lost }), stub, west, east, "", Fail, "NET008"},
		{"found and lost in one network", set(false, func(w *World, n *Name) {
			n.Call, w.Topology.Spec.Clusters[0].Network, w.Topology.Spec.Clusters[1].Network = lost, "one", "one"
		}), stub, west, east, "", Fail, "NET013"},
		{"found and lost for a known reason", set(false, func(w *World, n *Name) {
			n.Call = lost
			w.Controls[west] = Control{Secrets: map[string]string{}}
		}), stub, west, east, "", Fail, "FED001"},
		{"answered by another cluster", set(false, func(_ *World, n *Name) { n.Call = local }), stub, west, east, "", Fail, "NET008"},
		{"not called", set(false, func(_ *World, n *Name) { n.Call = Call{Problem: "no forward"} }), stub, west, east, "", Inconclusive, ""},
		{"not asked", set(false, func(_ *World, n *Name) { *n = Name{Problem: "no forward"} }), stub, west, east, "", Inconclusive, ""},

		{"not found, taken over", set(true, func(_ *World, n *Name) { none(n) }), proxied, west, east, "", Fail, "FED014"},
		{"not found, promised", set(true, func(w *World, n *Name) { none(n); n.Captured, w.Topology.Spec.Istio.DNSProxying = false, true }), proxied, west, east, "", Fail, "FED014"},
		{"not found, not promised", set(true, func(_ *World, n *Name) { none(n); n.Captured = false }), proxied, west, east, "", Skip, ""},
		{"no answer", set(true, func(_ *World, n *Name) { none(n); n.Captured, n.Error = false, probe.ErrOther }), proxied, west, east, "", Inconclusive, ""},
		{"found and lost", set(true, func(_ *World, n *Name) { n.Call = lost }), proxied, west, east, "", Fail, "NET008"},
	})
	w, pki := healthy(t)
	set(true, func(_ *World, n *Name) { none(n); n.Captured = false })(w, pki)
	if r := find(t, w, proxied, west, east, ""); r.NotApplicable || !strings.Contains(r.Message, "spec.istio.dnsProxying: true") {
		t.Errorf("%+v", r)
	}
}

func TestWhoTakesDNSOver(t *testing.T) {
	t.Parallel()
	pod := func(container, value string) *corev1.Pod {
		p := &corev1.Pod{}
		p.Spec.InitContainers = []corev1.Container{{Name: container, Env: []corev1.EnvVar{{Name: envCapture, Value: value}}}}
		return p
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{"on": {pod("istio-proxy", "true"), true}, "off": {pod("istio-proxy", "false"), false}, "somebody else": {pod("app", "true"), false}, "no pod": {nil, false}} {
		if got := captured(tc.pod); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAServiceOfOneClusterIsMadeThereOnly(t *testing.T) {
	t.Parallel()
	top := testTopology()
	for _, cluster := range top.Names() {
		o := objects{topology: top, cluster: cluster, namespace: testNamespace, services: services(top, top.Names(), []string{SuiteDNS}, false)}
		made := map[string]bool{}
		for _, obj := range o.before([]string{SuiteDNS}) {
			if obj.GetObjectKind().GroupVersionKind().Kind == "Service" {
				made[obj.GetName()] = true
			}
		}
		for _, other := range top.Names() {
			if !made[serviceOnly(other)] || made[serviceAlone(other)] != (other == cluster) {
				t.Errorf("%s has the Services %v", cluster, sortedKeys(made))
			}
		}
	}
}
