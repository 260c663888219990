// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingapi "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/topology"
)

func system(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name}
}

func running(name string, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: system(name)}
	p.Labels = labels
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func member1(t *testing.T, m Mesh, suites ...string) *member {
	t.Helper()
	s := newSession(m, Options{}, m.Topology.Names(), suites, time.Now())
	t.Cleanup(func() { s.members["west"].forget("", "") })
	return s.members["west"]
}

func TestSignerIsReadWithoutItsKey(t *testing.T) {
	t.Parallel()
	ca, err := testRoot(t).NewCACerts(certs.Options{CommonName: "west.intermediate", Organization: "usmesh", Algorithm: "ECDSA-P256", Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: system(topology.CACertsSecret), Data: ca.Data()}
	m, _ := twoClusters(t, secret)
	s := member1(t, m).signer(t.Context())
	if s.Problem != "" || s.Invalid != "" || s.Intermediate == nil || s.Root == nil {
		t.Fatalf("signer %+v", s)
	}
	secret.Data["ca-cert.pem"] = []byte("nonsense")
	m, _ = twoClusters(t, secret)
	if s := member1(t, m).signer(t.Context()); s.Invalid == "" || strings.Contains(s.Invalid, "PRIVATE") {
		t.Errorf("a broken secret: %+v", s)
	}
	m, _ = twoClusters(t)
	if s := member1(t, m).signer(t.Context()); !s.Absent {
		t.Errorf("no secret: %+v", s)
	}
}

func TestWrittenIgnoresLabels(t *testing.T) {
	t.Parallel()
	day := func(d int) metav1.Time { return metav1.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	entry := func(d int, fields string) metav1.ManagedFieldsEntry {
		at := day(d)
		return metav1.ManagedFieldsEntry{Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: day(1), ManagedFields: []metav1.ManagedFieldsEntry{
		entry(3, `{"f:data":{"f:ca-cert.pem":{}}}`), entry(5, `{"f:metadata":{"f:labels":{}}}`)}}}
	if got := written(secret); !got.Equal(day(3).Time) {
		t.Errorf("written %s, want the third", got)
	}
}

func TestControlReadsSecretsAndEveryReplica(t *testing.T) {
	t.Parallel()
	remote := &corev1.Secret{ObjectMeta: system("istio-remote-secret-east"), Data: map[string][]byte{"east": []byte("kubeconfig")}}
	remote.Labels = map[string]string{topology.LabelMultiCluster: "true"}
	m, fakes := twoClusters(t, remote, running("istiod-1", map[string]string{"app": "istiod"}), running("istiod-2", map[string]string{"app": "istiod"}))
	page := recorded(t, "clusterz.json")
	fakes["west"].Forwards(t, map[string]http.Handler{
		"istio-system/istiod-1:15014": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) }),
		"istio-system/istiod-2:15014": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }),
	})
	c := member1(t, m).control(t.Context())
	if diff := cmp.Diff(map[string]string{"east": "istio-remote-secret-east"}, c.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	slices.SortFunc(c.Replicas, func(a, b Istiod) int { return strings.Compare(a.Pod, b.Pod) })
	if len(c.Replicas) != 2 || c.Replicas[0].Peers["east"] != "timeout" || !strings.Contains(c.Replicas[1].Problem, "403") {
		t.Errorf("replicas %+v", c.Replicas)
	}
}

func TestGatewayReadsAddressExposureAndReplicas(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"istio": topology.EastWestSelector}
	svc := &corev1.Service{ObjectMeta: system(topology.EastWestGateway)}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.89.0.201"}}
	exposed := func(name string, mode networkingapi.ServerTLSSettings_TLSmode, selector map[string]string) *networkingv1.Gateway {
		return &networkingv1.Gateway{ObjectMeta: system(name), Spec: networkingapi.Gateway{Selector: selector, Servers: []*networkingapi.Server{{
			Port: &networkingapi.Port{Number: 15443, Protocol: "TLS", Name: "tls"}, Tls: &networkingapi.ServerTLSSettings{Mode: mode}, Hosts: []string{"*.local"}}}}}
	}
	m, fakes := twoClusters(t, svc, running("gw-1", labels),
		exposed("cross", networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH, labels),
		exposed("passthrough", networkingapi.ServerTLSSettings_PASSTHROUGH, labels),
		exposed("other", networkingapi.ServerTLSSettings_AUTO_PASSTHROUGH, map[string]string{"istio": "other"}))
	h := host(testNamespace, serviceEven)
	fakes["west"].Forwards(t, map[string]http.Handler{"istio-system/gw-1:15000": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/listeners" {
			_, _ = w.Write(recorded(t, "listeners.json"))
			return
		}
		_, _ = w.Write([]byte(`{"cluster_statuses":[{"name":"` + sni(8080, h) + `","host_statuses":[{"address":{"socket_address":{"address":"10.10.0.9","port_value":8080}},"health_status":{"eds_health_status":"HEALTHY"}}]}]}`))
	})})
	one := member1(t, m)
	g, pods := one.gateway(t.Context())
	g.Replicas = one.replicas(t.Context(), pods)
	want := Gateway{Addresses: []string{"10.89.0.201"}, Exposures: []string{"istio-system/cross"},
		Replicas: []GatewayReplica{{Pod: "gw-1", Ready: true, Listening: true, Routed: true, Healthy: 1, Passes: 1}}}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("gateway (-want +got):\n%s", diff)
	}
}

func TestAForwardOutlivesTheLookThatOpenedIt(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Forwards(t, map[string]http.Handler{"n/p:15000": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })})
	one := member1(t, m)
	for range 2 {
		look, cancel := contextFor(t)
		if _, err := one.page(look, "n", "p", 15000, "/clusters"); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	one.forget("n", "p")
	if len(one.forwards) != 0 {
		t.Errorf("%d forwards are left", len(one.forwards))
	}
}

func TestPlaceKnowsGatewaysAndPods(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	one := member1(t, m)
	for c, ip := range map[string]string{"west": "10.10.0.7", "east": "10.20.0.7"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{labelRole: "echo"}, UID: "u-" + "x"}}
		pod.Status.PodIP = ip
		one.members[c].know(pod)
	}
	gateways := map[string]Gateway{"east": {Addresses: []string{"10.89.0.202"}}}
	for address, want := range map[string]Endpoint{
		"10.10.0.7":   {Cluster: "west"},
		"10.20.0.7":   {Cluster: "east"},
		"10.89.0.202": {Cluster: "east", Gateway: true},
		"10.99.0.1":   {},
	} {
		got := Endpoint{Address: address}
		one.place(&got, gateways)
		want.Address = address
		if got != want {
			t.Errorf("%s is %+v, want %+v", address, got, want)
		}
	}
}

func TestStrays(t *testing.T) {
	t.Parallel()
	near := map[string]map[string]bool{"west-network": {"10.10.0.7": true, "10.50.0.1": true}, "east-network": {"10.20.0.7": true, "10.50.0.1": true}}
	clusters := []envoyCluster{
		{Name: outbound(80, "a.b"), Endpoints: []Endpoint{{Address: "10.10.0.7"}, {Address: "10.20.0.7"}, {Address: "10.50.0.1"}, {Address: "10.89.0.1"}}},
		{Name: "inbound|80||", Endpoints: []Endpoint{{Address: "10.20.0.7"}}},
	}
	got := strays(running("p", nil), clusters, "west-network", near)
	if len(got) != 1 || !strings.Contains(got[0], "10.20.0.7") {
		t.Errorf("strays %q", got)
	}
}

func TestObjectsOfTheProbe(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	one := member1(t, m, Suites()...)
	o := one.objects()
	o.zone = "abc.meshfed-verify.test"
	var all []string
	add := func(v any) {
		data, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	for _, obj := range append(o.before(Suites()), o.opening()...) {
		if obj.GetNamespace() != testNamespace {
			t.Errorf("%s is not in the probe's namespace", obj.GetName())
		}
		if l := obj.GetLabels(); l[topology.LabelOwner] != "o1" || l[topology.LabelTopology] != "usmesh" {
			t.Errorf("%s lacks the owner's labels: %v", obj.GetName(), l)
		}
		add(obj)
	}
	for _, r := range o.roles {
		pod, err := o.pod("west", r)
		if err != nil {
			t.Fatal(err)
		}
		add(pod)
	}
	golden.Check(t, "testdata/objects.golden.yaml", strings.Join(all, "---\n"))
}

// The namespace of the probes alone says who injects them, as users' namespaces do.
func TestProbesAreInjectedByRevisionOrTag(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ revision, tag, key, value string }{
		"default":  {"", "", "istio-injection", "enabled"},
		"revision": {"canary", "", "istio.io/rev", "canary"},
		"tag":      {"canary", "stable", "istio.io/rev", "stable"},
	} {
		m, _ := twoClusters(t)
		m.Topology.Spec.Istio.Revision, m.Topology.Spec.Istio.Tag = tc.revision, tc.tag
		got := member1(t, m, SuiteTrust).injection()
		if len(got) != 1 || got[tc.key] != tc.value {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestProbePodsTakeTheTopologysSettings(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	p := &m.Topology.Spec.Verify.Probe
	p.Image, p.Tolerations = "registry.example/probe:2", []map[string]any{{"key": "dedicated", "operator": "Exists"}}
	p.Resources = map[string]any{"limits": map[string]any{"memory": "64Mi"}}
	pod, err := member1(t, m, SuiteTrust).objects().pod("west", roleEcho)
	if err != nil {
		t.Fatal(err)
	}
	c := pod.Spec.Containers[0]
	if c.Image != p.Image || c.Resources.Limits.Memory().String() != "64Mi" || len(pod.Spec.Tolerations) != 1 {
		t.Errorf("pod %+v", pod)
	}
	p.Resources = map[string]any{"limits": "much"}
	if _, err := member1(t, m, SuiteTrust).objects().pod("west", roleEcho); err == nil {
		t.Error("nonsense resources were accepted")
	}
}

func TestHeavyServiceHasThreeAgainstOne(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	o := member1(t, m, SuiteWeights).objects()
	count := func(cluster string) int {
		n := 0
		for _, r := range o.roles {
			pod, err := o.pod(cluster, r)
			if err != nil {
				t.Fatal(err)
			}
			if pod.Labels[prefixService+serviceHeavy("west")] == "true" {
				n++
			}
		}
		return n
	}
	if count("west") != heavy || count("east") != 1 {
		t.Errorf("%d pods in west and %d in east", count("west"), count("east"))
	}
}

func TestAnsweredBelievesTheAPIOnly(t *testing.T) {
	t.Parallel()
	m, _ := twoClusters(t)
	one := member1(t, m)
	one.know(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u1", Labels: map[string]string{labelRole: "echo"}}})
	for uid, want := range map[string]string{"u1": "west", "u2": "", "": ""} {
		if got := one.answered(probe.Outcome{Pod: "echo", UID: uid}); got != want {
			t.Errorf("UID %q is in %q, want %q", uid, got, want)
		}
	}
}

// contextFor is the context of one look, which ends before the run does.
func contextFor(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 10*time.Second)
}

// TestAnOlderProbeIsNamed: a probe that does not know what it is asked is no broken mesh.
func TestAnOlderProbeIsNamed(t *testing.T) {
	t.Parallel()
	m, fakes := twoClusters(t)
	fakes["west"].Forwards(t, map[string]http.Handler{testNamespace + "/caller:8090": http.NotFoundHandler()})
	one := member1(t, m)
	one.know(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "caller", Labels: map[string]string{labelRole: string(roleCaller)}}})
	_, err := ask[probe.RunReport](t.Context(), one, roleCaller, http.MethodPost, "/new", nil)
	if err == nil || !strings.Contains(sentence(err), "older than this program") || !strings.Contains(sentence(err), "`meshfed up`") {
		t.Error(err)
	}
}
