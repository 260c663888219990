// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

func clients(clusters ...*kubetest.Cluster) []*kube.Client {
	all := make([]*kube.Client, len(clusters))
	for i, each := range clusters {
		all[i] = each.Client
	}
	return all
}

func TestSystemNamespace(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	existing := func(labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: topology.SystemNamespace, Labels: labels}}
	}
	for name, tc := range map[string]struct {
		found  *corev1.Namespace
		action graph.Action
		ours   bool
		err    string
	}{
		"absent":                    {nil, graph.Create, true, ""},
		"someone's, unlabelled":     {existing(map[string]string{"a": "b"}), graph.Update, false, ""},
		"someone's, labelled alike": {existing(map[string]string{topology.LabelNetwork: "west-network"}), graph.None, false, ""},
		"someone's, other network":  {existing(map[string]string{topology.LabelNetwork: "other"}), "", false, "the topology says west-network"},
		"ours, label gone":          {existing(m.labels()), graph.Update, true, ""},
		"ours, label changed":       {existing(kube.Labels(m.labels(), map[string]string{topology.LabelNetwork: "other"})), graph.Update, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west")
			if tc.found != nil {
				c = kubetest.New(t, "west", tc.found.DeepCopy())
			}
			part := SystemNamespace{m}
			change, err := part.Look(t.Context(), c.Client)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error: %v", err)
				}
				return
			}
			if err != nil || change.Action != tc.action {
				t.Fatalf("Look: %v, %v", change, err)
			}
			doIt(t, c.Client, part)
			lookAt(t, c.Client, part, graph.None)
			var namespace corev1.Namespace
			if err := c.Get(t.Context(), client.ObjectKey{Name: topology.SystemNamespace}, &namespace); err != nil {
				t.Fatal(err)
			}
			if owned(&namespace, m) != tc.ours {
				t.Errorf("labels: %v", namespace.Labels)
			}
			if err := part.Remove(t.Context(), c.Client); err != nil {
				t.Fatal(err)
			}
			err = c.Get(t.Context(), client.ObjectKey{Name: topology.SystemNamespace}, &namespace)
			if kube.Absent(err) != tc.ours {
				t.Errorf("after Remove: %v", err)
			}
		})
	}
}

// A cluster that is not in the topology is refused by every part.
func TestUnknownClusterIsRefused(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	c := kubetest.New(t, "south")
	for _, part := range []Part{SystemNamespace{m}, Istiod{m}, IngressGateway{m}, EastWestGateway{m}} {
		if _, err := part.Look(t.Context(), c.Client); err == nil || !strings.Contains(err.Error(), `cluster "south"`) {
			t.Errorf("%T: %v", part, err)
		}
	}
}

func TestGatewaysThatAreNotWanted(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	m.Topology.Spec.Clusters[0].Ingress = nil
	m.Topology.Spec.Clusters[1].Network = m.Topology.Spec.Clusters[0].Network
	c := kubetest.New(t, "west")
	for _, part := range []Part{IngressGateway{m}, EastWestGateway{m}} {
		lookAt(t, c.Client, part, graph.None)
		doIt(t, c.Client, part)
	}
	if writes := c.Writes(); len(writes) > 0 {
		t.Errorf("wrote: %v", writes)
	}
}

// Pods that are made before istiod can inject them never become ready.
func TestGatewayWaitsForTheWebhook(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west", readyDeployment("istiod"), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: injectorWebhook},
		Webhooks:   []admissionv1.MutatingWebhook{{Name: "a"}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ctx = graph.WithState(ctx, func(state string) {
		if state == "istiod webhook has no caBundle yet" {
			cancel()
		}
	})
	err := EastWestGateway{twoClusters()}.Do(ctx, c.Client, graph.Change{})
	if err == nil || !strings.Contains(err.Error(), "no caBundle yet") || !strings.Contains(err.Error(), "west") {
		t.Errorf("error: %v", err)
	}
	if writes := c.Writes(); len(writes) > 0 {
		t.Errorf("wrote before the webhook was there: %v", writes)
	}
}

func TestPodsThatMissedInjectionAreReplaced(t *testing.T) {
	t.Parallel()
	missed := systemPod("ew-1", topology.EastWestGateway, noon())
	missed.Spec.Containers = []corev1.Container{{Name: "istio-proxy", Image: "auto"}}
	injected := systemPod("ew-2", topology.EastWestGateway, noon())
	injected.Spec.Containers = []corev1.Container{{Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.31.0"}}
	c := kubetest.New(t, "west", missed, injected)
	g := gateway{Mesh: twoClusters(), name: topology.EastWestGateway}
	if err := g.replaceUninjected(t.Context(), c.Client); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete Pod istio-system/ew-1"}, c.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	service := func(ingress ...corev1.LoadBalancerIngress) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "gw"},
			Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: ingress}},
		}
	}
	for name, tc := range map[string]struct {
		cluster     *kubetest.Cluster
		want, state string
	}{
		"absent":  {kubetest.New(t, "west"), "", "Service gw is not there"},
		"pending": {kubetest.New(t, "west", service()), "", "Service gw has no external address yet"},
		"IP":      {kubetest.New(t, "west", service(corev1.LoadBalancerIngress{IP: "10.89.0.130"})), "10.89.0.130", ""},
		"name":    {kubetest.New(t, "west", service(corev1.LoadBalancerIngress{Hostname: "lb.example"})), "lb.example", ""},
	} {
		got, state, err := Address(t.Context(), tc.cluster.Client, "gw")
		if err != nil || got != tc.want || state != tc.state {
			t.Errorf("%s: %q %q %v", name, got, state, err)
		}
	}
}

func TestCheckPool(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                       "empty",
		"10.89.0.128-10.89.0.159":                "",
		"10.89.0.128/27":                         "",
		"10.89.0.128/27,10.89.0.160-10.89.0.191": "",
		"10.89.0.159-10.89.0.128":                "ends before it begins",
		"10.89.0.1-fd00::1":                      "is no range of IPv4 addresses",
		"10.89.0.1-":                             "is no range of IPv4 addresses",
		"nonsense":                               "is no range of IPv4 addresses",
		"10.89.0.128/27,10.89.0.150-10.89.0.170": "overlaps 10.89.0.128-10.89.0.159",
	} {
		var addresses []string
		if text != "" {
			addresses = strings.Split(text, ",")
		}
		err := CheckPool(addresses)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What MetalLB's chart renders for webhooks although they are disabled, in short.
const metallbChart = `apiVersion: apps/v1
kind: Deployment
metadata: {name: metallb-controller}
spec:
  template:
    spec:
      volumes: [{name: cert, secret: {secretName: metallb-webhook-cert}}, {name: other, emptyDir: {}}]
      containers: [{name: controller, args: ["--webhook-mode={{ .Values.controller.webhookMode }}"], volumeMounts: [{name: cert, mountPath: /certs}]}]
---
apiVersion: v1
kind: Secret
metadata: {name: metallb-webhook-cert}
---
apiVersion: v1
kind: Service
metadata: {name: metallb-webhook-service}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: metallb-webhook-configuration}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: metallb-speaker}
spec: {template: {spec: {containers: [{name: speaker, image: "{{ .Values.speaker.image.repository }}"}]}}}
`

// fakeMetalLB is a chart on disk, as a bundle would have it.
func fakeMetalLB(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"Chart.yaml": "apiVersion: v2\nname: metallb\nversion: 0.15.2\n", "templates/all.yaml": metallbChart} {
		if err := os.MkdirAll(dir+"/templates", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMetalLBRunsWithoutWebhooks(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	m.Topology.Spec.Images.Mirror = "mirror.example/"
	l := MetalLB{Mesh: m, Chart: fakeMetalLB(t)}
	golden.Check(t, "testdata/metallb-values.yaml", asYAML(t, l.values()))
	manifest := render(t, l.Release())
	var found []string
	for _, u := range objects(t, manifest) {
		found = append(found, u.GetKind()+" "+u.GetName())
	}
	if diff := cmp.Diff([]string{"DaemonSet metallb-speaker", "Deployment metallb-controller"}, found); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	pod, _, _ := unstructured.NestedMap(object(t, manifest, "Deployment", "metallb-controller").Object, "spec", "template", "spec")
	if text := string(asYAML(t, pod)); strings.Contains(text, "cert") || !strings.Contains(text, "name: other") {
		t.Errorf("pod: %s", text)
	}
}

// ready stands in for the controllers that make workloads ready.
func ready(path string, obj map[string]any) {
	switch {
	case strings.Contains(path, "/deployments/"):
		obj["status"] = map[string]any{"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
	case strings.Contains(path, "/daemonsets/"):
		obj["status"] = map[string]any{"desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}
	}
}

func TestMetalLBIsInstalledWithItsPool(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	s.put(t, "/api/v1/nodes/n1", `metadata: {labels: {node.kubernetes.io/exclude-from-external-load-balancers: "", keep: me}}`)
	s.created = ready
	l := MetalLB{Mesh: twoClusters(), Chart: fakeMetalLB(t), Addresses: []string{"10.89.0.128-10.89.0.159"}}
	lookAt(t, c, l, graph.Create)
	doIt(t, c, l)
	lookAt(t, c, l, graph.None)
	pool := s.get("/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/meshfed")
	if pool == nil {
		t.Fatal("no pool")
	}
	node := s.get("/api/v1/nodes/n1")["metadata"].(map[string]any)["labels"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"keep": "me"}, node); diff != "" {
		t.Errorf("node labels (-want +got):\n%s", diff)
	}

	// The chart sets no replicas; a controller that someone scaled to 0 is brought back.
	s.get("/apis/apps/v1/namespaces/metallb-system/deployments/metallb-controller")["spec"].(map[string]any)["replicas"] = float64(0)
	lookAt(t, c, l, graph.Update)
	doIt(t, c, l)
	lookAt(t, c, l, graph.None)

	l.Addresses = []string{"10.89.0.160-10.89.0.191"}
	change := lookAt(t, c, l, graph.Update)
	if len(change.Fields) != 1 || !strings.Contains(change.Fields[0].Path, "spec.addresses") {
		t.Errorf("fields: %v", change.Fields)
	}
	doIt(t, c, l)
	lookAt(t, c, l, graph.None)

	l.Addresses = []string{"10.89.0.160-10.89.0.159"}
	if _, err := l.Look(t.Context(), c); err == nil {
		t.Error("an impossible pool was accepted")
	}
	if err := l.Remove(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s.get("/api/v1/namespaces/metallb-system") != nil || s.get("/apis/apps/v1/namespaces/metallb-system/deployments/metallb-controller") != nil {
		t.Error("left behind")
	}
}

// TestMetalLBThatNobodyAsksFor goes with its pool and the addresses that came of it, and not without
// what others have put beside it.
func TestMetalLBThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	const (
		service    = "/api/v1/namespaces/shop/services/web"
		definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ipaddresspools.metallb.io"
		pools      = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/"
	)
	for name, others := range map[string]bool{"alone": false, "with a pool of the user's": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			s.created = ready
			l := MetalLB{Mesh: twoClusters(), Chart: fakeMetalLB(t), Addresses: []string{"10.89.0.128-10.89.0.159"}, IgnoreExcluded: true}
			doIt(t, c, l)
			s.put(t, definition, `
metadata: {labels: {meshfed.io/topology: usmesh, meshfed.io/owner: 0123456789abcdef}}
spec: {group: metallb.io, names: {kind: IPAddressPool, plural: ipaddresspools}, scope: Namespaced, versions: [{name: v1beta1, served: true, storage: true}]}`)
			s.put(t, service, `{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 10.89.0.130}, {ip: 203.0.113.5}, {hostname: web.example.com}]}}}`)
			if others {
				s.put(t, pools+"theirs", `spec: {addresses: [203.0.113.0/28]}`)
			}
			gone := MetalLB{Mesh: l.Mesh}
			change, err := gone.LookRemove(t.Context(), c)
			for _, want := range []string{"release metallb is there", "namespace metallb-system", "1 definitions"} {
				if err != nil || change.Action != graph.Delete || !strings.Contains(change.Reason, want) {
					t.Errorf("looking: %+v, %v; want %q", change, err, want)
				}
			}
			if kept := strings.Contains(change.Reason, "which is kept: IPAddressPool.metallb.io metallb-system/theirs is not ours"); kept != others {
				t.Errorf("looking: %s", change.Reason)
			}
			if err := gone.Remove(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{pools + "meshfed", "/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements/meshfed", "/apis/apps/v1/namespaces/metallb-system/deployments/metallb-controller"} {
				if s.get(at) != nil {
					t.Errorf("left behind: %s", at)
				}
			}
			for _, at := range []string{"/api/v1/namespaces/metallb-system", definition} {
				if kept := s.get(at) != nil; kept != others {
					t.Errorf("%s kept: %v", at, kept)
				}
			}
			if diff := cmp.Diff([]any{map[string]any{"ip": "203.0.113.5"}, map[string]any{"hostname": "web.example.com"}},
				s.get(service)["status"].(map[string]any)["loadBalancer"].(map[string]any)["ingress"]); diff != "" {
				t.Errorf("addresses of a Service (-want +got):\n%s", diff)
			}
			if change, err := gone.LookRemove(t.Context(), c); err != nil || change.Needed() {
				t.Errorf("looking again: %+v, %v", change, err)
			}
		})
	}
}

// TestMetalLBOfSomebodyElse is neither removed nor relieved of its addresses.
func TestMetalLBOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s, c := newAPIServer(t)
	s.created = ready
	theirs := twoClusters()
	theirs.Owner = "fedcba9876543210"
	doIt(t, c, MetalLB{Mesh: theirs, Chart: fakeMetalLB(t), Addresses: []string{"10.89.0.128-10.89.0.159"}})
	gone := MetalLB{Mesh: twoClusters()}
	if change, err := gone.LookRemove(t.Context(), c); err != nil || change.Needed() {
		t.Errorf("%+v, %v", change, err)
	}
	before := len(s.writes)
	if err := gone.Remove(t.Context(), c); err != nil || len(s.writes) > before {
		t.Errorf("wrote %v, %v", s.writes[before:], err)
	}
}

// TestBalancerThatGoes: what our MetalLB gives is no sign of another load balancer.
func TestBalancerThatGoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pool, ip, want string
	}{
		"ours":                        {"{meshfed.io/topology: usmesh, meshfed.io/owner: 0123456789abcdef}", "10.89.0.130", ""},
		"ours, an address of another": {"{meshfed.io/topology: usmesh, meshfed.io/owner: 0123456789abcdef}", "203.0.113.5", "Service shop/web has 203.0.113.5"},
		"of another topology":         {"{meshfed.io/topology: theirs, meshfed.io/owner: fedcba9876543210}", "10.89.0.130", "Service shop/web has 10.89.0.130"},
		"of another, not used":        {"{meshfed.io/topology: theirs, meshfed.io/owner: fedcba9876543210}", "", "MetalLB has the pool p"},
		"the user's":                  {"{}", "10.89.0.130", "Service shop/web has 10.89.0.130"},
		"the user's, not used":        {"{}", "", "MetalLB has the pool p"},
		"applied by somebody else":    {"{meshfed.io/topology: usmesh}", "", "MetalLB has the pool p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			s.put(t, "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/p", "{metadata: {labels: "+tc.pool+"}, spec: {addresses: [10.89.0.128-10.89.0.159]}}")
			if tc.ip != "" {
				s.put(t, "/api/v1/namespaces/shop/services/web", "{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: "+tc.ip+"}]}}}")
			}
			f := Found{Owner: "0123456789abcdef"}
			if err := (describer{c: c}).balancer(t.Context(), &f); err != nil || f.Balancer.Evidence != tc.want {
				t.Errorf("%q, %v", f.Balancer.Evidence, err)
			}
		})
	}
}

func TestDefinitionsStayWhileOthersUseThem(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]bool{"nobody": false, "someone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newAPIServer(t)
			const at = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io"
			s.put(t, at, `
metadata: {labels: {meshfed.io/topology: usmesh, meshfed.io/owner: 0123456789abcdef}}
spec: {group: networking.istio.io, names: {kind: Gateway, plural: gateways}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}`)
			s.put(t, "/apis/networking.istio.io/v1/namespaces/istio-system/gateways/ours", `metadata: {labels: {meshfed.io/topology: usmesh, meshfed.io/owner: 0123456789abcdef}}`)
			if others {
				s.put(t, "/apis/networking.istio.io/v1/namespaces/shop/gateways/theirs", `{}`)
			}
			var said string
			ctx := graph.WithState(t.Context(), func(state string) { said = state })
			if err := (IstioBase{twoClusters()}).Remove(ctx, c); err != nil {
				t.Fatal(err)
			}
			if kept := s.get(at) != nil; kept != others {
				t.Errorf("kept: %v", kept)
			}
			if others && !strings.Contains(said, "Gateway shop/theirs") {
				t.Errorf("said: %q", said)
			}
		})
	}
}

func TestLeftoversStayWhileAnIstiodRuns(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"none": false, "another": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: topology.RootCertConfigMap, Labels: map[string]string{"istio.io/config": "true"}}}
			theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other", Labels: map[string]string{"istio.io/config": "true"}}}
			leader := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istio-gateway-status-leader-default"}}
			objs := []client.Object{root, theirs, leader}
			if running {
				istiod := readyDeployment("istiod-other")
				istiod.Labels = map[string]string{"app": "istiod"}
				objs = append(objs, istiod)
			}
			c := kubetest.New(t, "west", objs...)
			if err := (Leftovers{twoClusters()}).Remove(t.Context(), c.Client); err != nil {
				t.Fatal(err)
			}
			var left corev1.ConfigMapList
			if err := c.List(t.Context(), &left); err != nil {
				t.Fatal(err)
			}
			want := 1
			if running {
				want = 3
			}
			if len(left.Items) != want {
				t.Errorf("%d ConfigMaps are left, want %d", len(left.Items), want)
			}
		})
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	under := map[string]any{"a": map[string]any{"x": 1, "y": []any{1, 2}}, "b": 1}
	over := map[string]any{"a": map[string]any{"y": []any{3}}, "c": map[string]any{"z": 1}}
	want := map[string]any{"a": map[string]any{"x": 1, "y": []any{3}}, "b": 1, "c": map[string]any{"z": 1}}
	got := overlay(under, over)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got["c"].(map[string]any)["z"] = 2
	if over["c"].(map[string]any)["z"] != 1 {
		t.Error("the argument was changed")
	}
}

func TestDigestsFollowEveryInput(t *testing.T) {
	t.Parallel()
	base := must(demo().digests())(t)
	values := demo()
	values.Values = map[string]any{"replicas": 3}
	version := demo()
	version.Chart.Version = "9.9.9"
	if must(values.digests())(t)[labelValues] == base[labelValues] {
		t.Error("values are not in the digest")
	}
	if must(version.digests())(t)[labelChart] == base[labelChart] {
		t.Error("the version is not in the digest")
	}
	if diff := cmp.Diff(base, must(demo().digests())(t)); diff != "" {
		t.Errorf("digests are not stable:\n%s", diff)
	}
	for _, digest := range base {
		if len(digest) > 63 {
			t.Errorf("%s is too long for a label", digest)
		}
	}
}
