// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"errors"
	"strings"
	"testing"
)

const two = header + "spec: {clusters: [{name: west}, {name: east}]}\n"

// field is what one field accepts and refuses, as --set would say it.
type field struct {
	path     string
	accepted []string
	refused  []string
}

// boundaries lists every field that a file may set today, with the values at the edges.
func boundaries() []field {
	label63 := strings.Repeat("a", 63)
	const kind = "spec.clusters[west].provider.kind"
	return append(fieldsOfIstio(), []field{
		{"apiVersion", []string{"meshfed.io/v1alpha1"}, []string{"v1", "meshfed.io/v1alpha2", `""`, "1"}},
		{"kind", []string{"Topology"}, []string{"topology", "Topologies", `""`, "[]"}},
		{"metadata.name", []string{"a", "0", "us-mesh", "5"}, []string{`""`, "A", "a.b", "a_b", "-a", "a-", label63, "null", "[a]", "{a: b}"}},
		{"spec.mesh.id", []string{"a", "US_mesh.1", "7", label63, `""`}, []string{"a b", "-a", label63 + "a", "a/b", "null", "[]"}},
		{"spec.mesh.trustDomain", []string{"cluster.local", "a", "a.b-c.d"}, []string{`""`, "A.b", "a..b", ".a", "a.", "a_b", "~"}},
		{"spec.mesh.mtls", []string{"Permissive", "Strict"}, []string{"PERMISSIVE", "strict", "Disable", `""`, "true"}},
		{"spec.istio.version", []string{`""`, IstioVersion}, []string{"1.30.0", "1.31.1", "1.27.0", "latest", "v" + IstioVersion, "1.31", "1.031.0"}},
		{"spec.istio.profile", []string{"default", "demo", "preview", "stable", `""`}, []string{"Default", "ambient", "remote", "minimal"}},
		{"spec.istio.revision", []string{`""`, "canary", "1-31-0", strings.Repeat("a", 46)}, []string{"default", "Canary", "1.31.0", "-a", strings.Repeat("a", 47)}},
		{"spec.istio.tag", []string{`""`}, []string{"stable", "A"}},
		{"spec.istio.dnsProxying", []string{"false", "true"}, []string{"no", `"false"`, "0"}},
		{"spec.istio.clusterLocal", []string{"[]", "[a.b.svc.cluster.local]", `["*.b.svc.cluster.local", "*.svc.cluster.local"]`}, []string{"[a]", "[a.b]", `["*"]`, `["*.*.svc.cluster.local"]`, `["a.*.svc.cluster.local"]`, "[a.b.svc.cluster.local.]", "[.svc.cluster.local]", "[a.b.svc.example.com]", "[x.meshfed-verify.svc.cluster.local]", "[x.meshfed-verify-watch.svc.cluster.local]", "a"}},
		{"spec.istio.values", []string{"{}", "{a: {b: [1, 2.5, true, x]}}", `{"a.b/c": d}`, "{global: {tag: a}}"}, []string{"{revision: a}", "{global: {network: a}}", "[]", "a", "5", "null", "{a: null}", "{a: .nan}", "{5: a}"}},
		{"spec.istio.meshConfig", []string{"{}", "{accessLogFile: /dev/stdout}"}, []string{"{trustDomain: a}", "[a]", "{a: [~]}"}},
		{"spec.istio.charts", []string{"{}", `{directory: "", repository: ""}`, "{directory: a}", "{repository: oci://a/b}"}, []string{"{directory: a, repository: oci://a/b}", "a", "{chart: a}"}},
		{"spec.istio.charts.repository", []string{`""`, "oci://ghcr.io/istio/charts", "oci://localhost:5000/charts/", "https://charts.example.com/istio", "http://127.0.0.1:8080"},
			[]string{"oci://ghcr.io", "ghcr.io/istio", "ftp://a/b", "https://", "oci:a/b", "https://u@a/b", "https://a/b?c=d", "https://a/b?", "https://a/b#c", "oci://a/B", "oci://a/b:1", "https://a:0/b", "https://a b/c", "https://a/b c", "HTTPS://a/b", "oci://a/%62", "[]"}},
		{"spec.images", []string{"{}", "{pullSecret: a}", "{mirror: a.b, pullSecret: a}"}, []string{"{registry: a}", "[]"}},
		{"spec.images.mirror", []string{`""`, "registry.example.com", "registry.example.com:65535/a/b-c.d_e", "localhost", "localhost:5000", "http://127.0.0.1:5000/a", "https://a.b", "a.b/", "a:1"},
			[]string{"a", "a/b", "A.b", "a.b/C", "a.b/c:1", "a.b//", "a.b//c", "/a", "a.b:0", "a.b:65536", "a.b:x", "a.b:", "http://", "https://", "oci://a.b", "u@a.b", "a.b/c@sha256:abc", "a.b/c d", "a.b/-c", "http://https://a.b"}},
		{"spec.images.pullSecret", []string{`""`, "a", "regcred"}, []string{"A", "a.b", "a/b", "-a"}},
		{"spec.certificates.root.generate.lifetime", []string{"17521h", "100000h"}, []string{"17520h", "17519h", "0s", "-1h", "10y", "5", `""`}},
		{"spec.certificates.root.generate.algorithm", []string{"ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"}, []string{"Ed25519", "RSA-1024", "RSA", "P256", "ecdsa-p256", `""`}},
		{"spec.certificates.root.keep", []string{"File"}, []string{"None", "file", `""`}},
		{"spec.certificates.root.files", nil, []string{"{}", "{certificate: a, key: b}"}},
		{"spec.certificates.root.kms", nil, []string{"{}", "{uri: a}"}},
		{"spec.certificates.intermediate.lifetime", []string{"24h", "87599h"}, []string{"23h59m59s", "87599h1s", "87600h", "0", "1d"}},
		{"spec.certificates.intermediate.algorithm", []string{"ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"}, []string{"ed25519", "RSA-8192", "ecdsa", `""`}},
		{"spec.certificates.intermediate.files", nil, []string{"{}", "{directory: a}"}},
		{"spec.credentials.lifetime", []string{"10m", "87600h"}, []string{"9m59s", "87601h", "-1h", "30 days"}},
		{"spec.credentials.refresh", []string{"Manual"}, []string{"InCluster", "Automatic"}},
		{"spec.containerNetwork", []string{`""`, "kind", "meshfed", "My_net.1", label63}, []string{"bridge", "host", "none", "podman", "default", "meshfed-demo", "a b", "a/b", "-a", ".a", "container:a", label63 + "a", "[]"}},
		{"spec.namespaces", []string{"[]", "[{name: shop}]", "[{name: default, inject: true}]"}, []string{"{shop: {}}", "[{}, null]", "[{}]", "[{name: a}, {name: a}]", "[{name: kube-a}]", "[{name: istio-system}]", "[{name: metallb-system}]", "[{name: meshfed-verify}]", "[{name: meshfed-verify-watch}]", "[{name: a.b}]"}},
		{"spec.discovery", []string{"{}", "{west: [east], east: [west]}", "{west: [east]}", "{west: []}"}, []string{"{west: [west]}", "{west: [north]}", "{north: [west]}", "[west]", "{west: east}", "{west: [null]}"}},
		{"spec.services", []string{"[]", "[{host: a.b}]", "[{host: a.b, clusters: [], callers: [], probe: {}}]"}, []string{"a", "[a.b]", "[{}]", "[{host: a.b}, {host: a.b}]", "[{host: a.meshfed-verify-watch}]"}},
		{"spec.services", []string{"[{host: a.b, probe: {path: /x?y=1, requests: 200}}]", "[{host: a.b, callers: [shop/web.v1]}]"}, []string{"[{host: a.b, probe: {requests: 0}}]", "[{host: a.b, probe: {requests: 201}}]", "[{host: a.b, probe: {path: x}}]", "[{host: a.b, callers: [web]}]"}},
		{"spec.clusters", []string{"[{name: a}]", "[{name: a}, {name: b}]"}, []string{"[]", "{}", "a", "[a]", "[[]]", "[{}]", "[{name: a}, {name: a}]", "[{name: a, name: b}]"}},
		{"spec.clusters[west].name", []string{"a", "0", "us-west-1"}, []string{"east", "West", "a.b", `""`, "null", label63}},
		{"spec.clusters[west].network", []string{"blue", "Blue_1.a", label63, `""`, "east-network"}, []string{"a b", label63 + "a", "5%", "[]"}},
		{"spec.clusters[west].locality", []string{"{}", "{region: us-west}", `{region: a, zone: "0"}`}, []string{"{zone: a}", "{region: a/b}", "{region: a, subzone: b}", "us-west"}},
		{"spec.clusters[west].primary", []string{"west", `""`, "east"}, []string{"north", "[]"}},
		{"spec.clusters[west].config", []string{"west", `""`}, []string{"east", "north"}},
		{"spec.clusters[west].provider", []string{"{}", "{kind: {}}"}, []string{"kind", "{kubeconfig: {}}", "{kind: {}, clusterAPI: {}}", "{k3d: {}}"}},
		{kind + ".kubernetes", []string{`""`, "1.36.3", "1.32.0", "docker.io/kindest/node:v1.36.3", "kindest/node@sha256:" + strings.Repeat("a", 64), "localhost:5000/node:latest", "kindest/node:v1.36.3@sha256:" + strings.Repeat("0", 64)},
			[]string{"1.36", "v1.36.3", "1.36.3-rc.1", "1.036.3", "1.31.9", "1.37.0", "2.36.3", "latest", "kindest/node", "kindest/latest", "localhost:5000/node", "kindest/Node:v1", "kindest/node:", "https://a/b:1", "/", "a/b@sha256:abc"}},
		{kind + ".podSubnet", []string{"192.168.0.0/24", "10.0.0.0/12", "10.64.0.0/16", `""`}, []string{"192.168.0.0/25", "10.0.0.0/7", "10.10.0.1/16", "10.10.0.0", "fd00::/64", "224.0.0.0/16", "0.0.0.0/8", "a"}},
		{kind + ".serviceSubnet", []string{"192.168.0.0/26", "172.16.0.0/12", `""`}, []string{"192.168.0.0/27", "172.16.0.0/11", "10.96.0.1/16", "127.0.0.0/24", "10.10.0.0/24x"}},
		{kind + ".nodes", []string{"[]", "[{}]", "[{role: control-plane}]", "[{labels: {a: b, node.kubernetes.io/a: b}}]", "[{role: worker}, {}]", "[{}" + strings.Repeat(", {role: worker}", 20) + "]",
			"[{locality: {region: a}}, {role: worker, locality: {region: b, zone: c}}]"},
			[]string{"[{role: worker}]", "[{}, {}]", "[{role: master}]", "[{labels: [a]}]", "[{labels: {a b: c}}]", "[{labels: {a: b c}}]", "[{labels: {topology.kubernetes.io/zone: a}}]", "[{labels: {node-role.kubernetes.io/worker: a}}]",
				"[{}" + strings.Repeat(", {role: worker}", 21) + "]", "[{locality: {zone: a}}]", "[{}, {role: worker, locality: {zone: a}}]"}},
		{kind + ".ports", []string{"[]", "[{host: 1, node: 30000}, {host: 65535, node: 32767}]"}, []string{"[{}]", "[{host: 80}]", "[{host: 65536, node: 30000}]", "[{host: 80, node: 29999}]", "[{host: 80, node: 32768}]", "[{host: 80, node: 30000}, {host: 80, node: 30001}]", "[{host: 80, node: 30000}, {host: 81, node: 30000}]"}},
		{kind + ".patches", []string{"[]", `["{kind: ClusterConfiguration, a: b}"]`, `["version = 3"]`}, []string{"[a]", "a", `[""]`, `["kind: Cluster"]`, `["kind: KubeletConfiguration"]`, `["a = 1"]`, `["{a: b}"]`, "[{kind: ClusterConfiguration}]"}},
		{"spec.clusters[west].loadBalancer.type", []string{"MetalLB", "Existing"}, []string{"None", "metallb", `""`}},
		{"spec.clusters[west].loadBalancer.addresses", []string{"[]", "[172.20.0.1-172.20.0.1]", "[172.20.0.0/28]"}, []string{"[172.20.0.1]", "[172.20.0.2-172.20.0.1]", "[10.65.0.1-10.64.0.2]", "172.20.0.0/28", "[172.20.0.0/29, 172.20.0.8/29]"}},
		{"spec.clusters[west].ingress", []string{"{}", "{hostPorts: {}}", "{hostPorts: {http: 1}}", "{hostPorts: {https: 65535}}", "{hostPorts: {http: 0}}"}, []string{"null", "{hostPorts: {http: 65536}}", "{hostPorts: {http: -1}}", "{hostPorts: {http: 5, https: 5}}", `{hostPorts: {http: "80"}}`, "{hostPorts: {tcp: 1}}"}},
		{"spec.clusters[west].eastWest.replicas", []string{"1", "100"}, []string{"0", "101", "-1", "1.0", "two", `"1"`, "01", "+1", "1e1"}},
		{"spec.clusters[west].eastWest.service.type", []string{"LoadBalancer"}, []string{"NodePort", "ClusterIP", `""`}},
		{"spec.clusters[west].eastWest.service.annotations", []string{"{}", "{a: b}", `{example.com/a: ""}`}, []string{"{a b: c}", "{/a: b}", "{a: {b: c}}", "[]"}},
		{"spec.clusters[west].eastWest.addresses", []string{"[]", "[203.0.113.7]", `["2001:db8::1", 203.0.113.7]`}, []string{"[a]", "[127.0.0.1]", "[0.0.0.0]", "[224.0.0.1]", "[203.0.113.7, 203.0.113.7]", "203.0.113.7", `["fe80::1%eth0"]`, "[203.0.113.7/32]"}},
		{"spec.clusters[west].eastWest.hosts", []string{"[]", `["*"]`, `["*.local"]`, "[a.b.svc.cluster.local]", `["*.b.svc.cluster.local"]`}, []string{"[a]", `["*a.local"]`, `["a.*.local"]`, `[""]`, `["./*.local"]`, "a"}},
		{"spec.clusters[west].eastWest.values", []string{"{}", "{a: b}"}, []string{"[]", "{a: ~}"}},
		{"spec.clusters[west].apiServer.peerAddress", []string{`""`, "https://a:6443", "a:6443", "https://a", "'[2001:db8::1]:6443'"}, []string{"a", "http://a:1", "https://[::1]", "https://a:b", "a:0", "a:65536", "https://a:", "https://169.254.1.1:6443", "LOCALHOST.:1", "u@a:1", "https://a?b", "https://:1", "https://127.0.0.1:6443", "https://[::1]:6443", "localhost:6443", "0.0.0.0:6443", "https://a/b", "a b:5"}},
		{"spec.clusters[west].manage", []string{"{}", "{istio: true}", "{istio: false, gateways: false, cacerts: false, remoteSecrets: false}"}, []string{"true", "{gateway: true}", "{cacerts: yes}"}},
		{"spec.clusters[west].istio", []string{"{}", "{values: {a: b}}", "{meshConfig: {a: b}}"}, []string{"{version: 1.31.0}", "{values: a}", "{values: {revision: a}}", "{meshConfig: {trustDomain: a}}"}},
		{"spec.clusters[west].addons", []string{"[]"}, []string{"[Prometheus]", "Kiali"}},
		{"spec.verify.suites", []string{"[]", "[trust]", "[trust, discovery, weights, locality, failover, authorization, gateway, dns, services]"}, []string{"[Trust]", "[trust, trust]", "trust", `[""]`}},
		{"spec.verify.proxies", []string{"1", "1000"}, []string{"0", "1001", "all"}},
		{"spec.verify.failover.rate", []string{"1", "1000"}, []string{"0", "1001", "2.5"}},
		{"spec.verify.failover.within", []string{"1s", "1h"}, []string{"999ms", "61m", "10"}},
		{"spec.verify.failover.lostAtMost", []string{"0", "100000"}, []string{"-1", "100001"}},
		{"spec.verify.failover.backWithin", []string{"1s", "1h"}, []string{"0s", "2h", "soon"}},
		{"spec.verify.probe.namespace", []string{"probes", "a"}, []string{`""`, "default", "kube-system", "istio-system", "metallb-system", "A"}},
		{"spec.verify.probe.image", []string{`""`, "registry.example.com/probe@sha256:abc"}, []string{"a b", "[]"}},
		{"spec.verify.probe.tolerations", []string{"[]", "[{key: a, operator: Exists}]"}, []string{"{}", "[a]", "[{key: null}]"}},
		{"spec.verify.probe.resources", []string{"{}", "{limits: {cpu: 1}}"}, []string{"[]", "5"}},
	}...)
}

// TestBoundaries tries every accepted and refused value of every field. A refused value's
// problem names the field, or one inside or beside it, and the --set argument.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	for _, f := range boundaries() {
		t.Run(f.path, func(t *testing.T) {
			t.Parallel()
			for _, value := range f.accepted {
				if _, err := Parse("t.yaml", []byte(two), f.path+"="+value); err != nil {
					t.Errorf("%s is refused: %v", value, err)
				}
			}
			for _, value := range f.refused {
				_, err := Parse("t.yaml", []byte(two), f.path+"="+value)
				var problems Problems
				if !errors.As(err, &problems) {
					t.Errorf("%s is accepted: %v", value, err)
					continue
				}
				checkProblems(t, "t.yaml", problems)
				if !strings.Contains(err.Error(), "--set "+f.path+"="+value+": ") && !aboutAnother(f.path, value) {
					t.Errorf("%s: the argument is not named: %v", value, err)
				}
			}
		})
	}
}

// aboutAnother lists the values that only break a rule together with a field that the file or
// a default gave, where the problem is told.
func aboutAnother(path, value string) bool {
	switch {
	case path == "spec.clusters[west].name" && value == "east":
	case path == "metadata.name" && len(value) == 63:
	case path == "spec.clusters[west].provider" && value == "{kubeconfig: {}}":
	case strings.HasPrefix(path, "spec.clusters[west].provider.kubeconfig."): // credentials are not chosen
	default:
		return false
	}
	return true
}

// TestEveryFieldHasBoundaries: a field that is added to the types is added to the table, or it
// lies inside one that is there.
func TestEveryFieldHasBoundaries(t *testing.T) {
	t.Parallel()
	covered := func(path string) bool {
		for _, f := range boundaries() {
			known := strings.ReplaceAll(f.path, "[west]", "[0]")
			inside := strings.HasPrefix(path, known+".") || strings.HasPrefix(path, known+"[")
			if known == "spec.clusters" {
				inside = false // its fields have rows of their own
			}
			if path == known || inside || strings.HasPrefix(known, path+".") || strings.HasPrefix(known, path+"[") {
				return true
			}
		}
		return false
	}
	for _, path := range allPaths() {
		if !covered(path) {
			t.Errorf("%s is in no row", path)
		}
	}
}
