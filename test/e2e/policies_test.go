//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// TestAllPolicies: in a mesh with policies of its own verify works, or is inconclusive in the words
// of who keeps it out; it fails only where the mesh is broken, and leaves nothing.
func TestAllPolicies(t *testing.T) {
	onlyAll(t)
	before := inventory(t, podman(), "")
	m := newMesh(t, "mfe2e-policies")
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	m.must("up", "--verify", "never")
	for _, step := range []struct {
		name string
		run  func(*testing.T, *mesh)
	}{
		{"a root policy that allows nothing", rootAllowsNothing},
		{"a root policy that denies", rootDenies},
		{"restricted Pod Security by default", restricted},
		{"an admission policy of one cluster", admission},
		{"a revision that does not exist", noRevision},
		{"pods that do not reach each other", isolated},
	} {
		t.Run(step.name, func(t *testing.T) {
			m.t = t
			step.run(t, m)
			if left := m.probesLeft(); len(left) > 0 {
				t.Errorf("verify left %v", left)
			}
		})
		m.t = t
	}
	if r := m.run("verify"); r.code != 0 {
		t.Errorf("without the policies: %s", r)
	}
	t.Run("a NetworkPolicy that denies by default", func(t *testing.T) { deniedByDefault(t, m) })
	m.t = t
	m.must("down", "--delete-certs")
	sameInventory(t, before, inventory(t, m.engine, m.state))
}

// TestAllVerifyLeavesNothing interrupts and kills verify at each of its stages.
func TestAllVerifyLeavesNothing(t *testing.T) {
	onlyAll(t)
	before := inventory(t, podman(), "")
	m := newMesh(t, "mfe2e-nothing")
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	m.must("up", "--verify", "never")
	leavesNothing(t, m, stages()...)
	m.must("down", "--delete-certs")
	sameInventory(t, before, inventory(t, m.engine, m.state))
}

// stage is a moment of a verify, told by what is in west: ns is nil without a probe namespace.
type stage struct {
	name string
	is   func(ns *corev1.Namespace, pods map[string]corev1.Pod) bool
}

func stages() []stage {
	return []stage{
		{"the namespace is made", func(ns *corev1.Namespace, _ map[string]corev1.Pod) bool { return ns != nil }},
		{"pods are made", func(_ *corev1.Namespace, pods map[string]corev1.Pod) bool { return len(pods) > 0 }},
		requests(),
		{"a backend is away", func(_ *corev1.Namespace, pods map[string]corev1.Pod) bool {
			_, there := pods["away"]
			return takesTraffic(pods, "caller") && !there
		}},
		{"the namespace is removed", func(ns *corev1.Namespace, _ map[string]corev1.Pod) bool {
			return ns != nil && ns.DeletionTimestamp != nil
		}},
	}
}

// takesTraffic says whether a pod is there and takes traffic.
func takesTraffic(pods map[string]corev1.Pod, name string) bool {
	p, there := pods[name]
	return there && kube.PodReady(&p)
}

// requests begin as soon as all is ready.
func requests() stage {
	return stage{"requests are sent", func(_ *corev1.Namespace, pods map[string]corev1.Pod) bool {
		return takesTraffic(pods, "caller") && takesTraffic(pods, "echo") && takesTraffic(pods, "away")
	}}
}

// reached says whether a verify is at a stage.
func (m *mesh) reached(s stage) func(string) bool {
	c := m.client("west")
	return func(string) bool {
		ns, pods := &corev1.Namespace{}, map[string]corev1.Pod{}
		if c.Get(m.t.Context(), client.ObjectKey{Name: probes}, ns) != nil {
			ns = nil
		}
		var list corev1.PodList
		if c.List(m.t.Context(), &list, client.InNamespace(probes)) != nil {
			return false
		}
		for _, p := range list.Items {
			pods[p.Name] = p
		}
		return s.is(ns, pods)
	}
}

// probes is the namespace that verify makes.
const probes = "meshfed-verify"

// leavesNothing interrupts verify at some of its stages, which removes the probes, and kills it
// there, which leaves them for the next run to remove.
func leavesNothing(t *testing.T, m *mesh, stages ...stage) {
	verify := []string{"verify", "--suite", "trust,discovery,failover"}
	for _, s := range stages {
		r := m.stop(os.Interrupt, m.reached(s), verify...)
		if r.code != 130 && s.name != "the namespace is removed" {
			t.Errorf("SIGINT when %s: %s", s.name, r)
		}
		m.goesAway("SIGINT when " + s.name)
		m.stop(syscall.SIGKILL, m.reached(s), verify...)
		left := m.probesLeft()
		if r := m.run("verify", "--suite", "discovery"); r.code != 0 {
			t.Errorf("verify after a SIGKILL when %s, which left %v: %s", s.name, left, r)
		}
		if again := m.probesLeft(); len(again) > 0 {
			t.Errorf("after a SIGKILL when %s had left %v, the next verify left %v", s.name, left, again)
		}
		t.Logf("SIGKILL when %s left %v", s.name, left)
	}
}

// goesAway waits until no probe namespace is there, and fails at once for one whose removal nobody
// has asked for.
func (m *mesh) goesAway(after string) {
	m.t.Helper()
	for _, cluster := range []string{"west", "east"} {
		c := m.client(cluster)
		waitUntil(m.t, c, "the end of the probes", func() (bool, string, error) {
			var namespaces corev1.NamespaceList
			err := c.List(m.t.Context(), &namespaces)
			for _, ns := range namespaces.Items {
				if !strings.Contains(ns.Name, "meshfed") {
					continue
				}
				if ns.DeletionTimestamp == nil {
					return false, "", poll.Stop(fmt.Errorf("%s: %s stayed", after, ns.Name))
				}
				return false, ns.Name + " is there", nil
			}
			return err == nil, "", err
		})
	}
}

// under puts an object into some clusters for the time of a function.
func (m *mesh) under(text string, clusters []string, do func()) {
	m.t.Helper()
	var objects []*unstructured.Unstructured
	for _, doc := range strings.Split(text, "---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			m.t.Fatal(err)
		}
		objects = append(objects, u)
	}
	for _, cluster := range clusters {
		c := m.client(cluster)
		for _, u := range objects {
			if err := c.Create(m.t.Context(), u.DeepCopy()); err != nil {
				m.t.Fatal(err)
			}
			defer func() {
				if err := c.Delete(context.WithoutCancel(m.t.Context()), u.DeepCopy()); err != nil {
					m.t.Error(err)
				}
			}()
		}
	}
	do()
}

func (m *mesh) both() []string { return []string{"west", "east"} }

// unsure runs a verify that must be inconclusive, in some suites with these words, and fail nothing.
func (m *mesh) unsure(suites string, words []string, args ...string) report {
	m.t.Helper()
	r := m.run(append([]string{"verify", "-o", "json", "--suite", suites}, args...)...)
	rep := m.parse(r)
	if r.code != 4 || rep.Summary["fail"] > 0 {
		m.t.Errorf("exit code %d, want 4 and no failure:\n%s", r.code, rep.words())
	}
	for _, suite := range strings.Split(suites, ",") {
		if !slices.ContainsFunc(rep.Checks, func(c check) bool {
			return c.Suite == suite && c.Status == "inconclusive" && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(c.Message, w) })
		}) {
			m.t.Errorf("nothing of %s is inconclusive with %q:\n%s", suite, words, rep.words())
		}
	}
	return rep
}

func rootPolicy(spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: corp-guard, namespace: " + system + "}\nspec: " + spec + "\n"
}

// rootAllowsNothing: the probes allow themselves to be called. Only the ingress gateways, which
// nobody allows anything, can not be tried; and what is broken fails all the same.
func rootAllowsNothing(t *testing.T, m *mesh) {
	m.under(rootPolicy("{}"), m.both(), func() {
		m.must("verify", "--suite", "trust,discovery,weights,locality,failover")
		rep := m.unsure("authorization", []string{"the ingress gateway of", "corp-guard (allows nothing)"})
		for _, c := range rep.Checks {
			if (c.ID == "authorization-allowed" || c.ID == "authorization-denied" || c.ID == "authorization-plaintext") && c.Status != "pass" {
				t.Errorf("%s %s -> %s: %s: %s", c.ID, c.From, c.To, c.Status, c.Message)
			}
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("east")}}
		if err := m.client("west").Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		m.failsIn("discovery", "FED001")
	})
	m.must("up", "--verify", "never")
}

// rootDenies can be overridden by nobody.
func rootDenies(_ *testing.T, m *mesh) {
	m.under(rootPolicy("{action: DENY, rules: [{}]}"), m.both(), func() {
		m.unsure("discovery,weights,locality,authorization", []string{"requests are denied even within", "corp-guard (DENY)"})
	})
}

const restrictedByDefault = `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: restricted-by-default}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [namespaces]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{labels: {"pod-security.kubernetes.io/enforce": "restricted"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: restricted-by-default}
spec: {policyName: restricted-by-default}
`

// restricted: the init container of a sidecar needs more than that without Istio's CNI plugin; the
// probe itself does not, as the one without a sidecar shows.
func restricted(t *testing.T, m *mesh) {
	m.under(restrictedByDefault, m.both(), func() {
		for _, cluster := range m.both() {
			m.inForce(cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "trial-"}}, func(obj client.Object, err error) bool {
				return err == nil && obj.GetLabels()["pod-security.kubernetes.io/enforce"] == "restricted"
			})
		}
		ctx, stop := context.WithCancel(t.Context())
		accepted := make(chan []string, 1)
		go func() { accepted <- m.started(ctx, "west") }()
		m.unsure("trust,discovery,authorization", []string{`violates PodSecurity "restricted:latest"`, "NET_ADMIN", "CNI plugin"})
		stop()
		if names := <-accepted; !slices.Equal(names, []string{"outsider"}) {
			t.Errorf("pods %v were accepted, want the outsider alone", names)
		}
	})
}

// started names the probe pods that a cluster accepts until ctx ends.
func (m *mesh) started(ctx context.Context, cluster string) []string {
	var names []string
	for c := m.client(cluster); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		var pods corev1.PodList
		if c.List(ctx, &pods, client.MatchingLabels{"app.kubernetes.io/name": "meshfed-probe"}) != nil {
			continue
		}
		for _, p := range pods.Items {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// inForce waits until admission treats an object that is not really made as it should.
func (m *mesh) inForce(cluster string, obj client.Object, does func(client.Object, error) bool) {
	m.t.Helper()
	c := m.client(cluster)
	waitUntil(m.t, c, "the policy to be in force", func() (bool, string, error) {
		trial := obj.DeepCopyObject().(client.Object)
		err := c.Create(m.t.Context(), trial, client.DryRunAll)
		return does(trial, err), fmt.Sprint(err), nil
	})
}

const noProbes = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: corp-registry}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations:
  - {expression: "!has(object.metadata.labels) || !('app.kubernetes.io/name' in object.metadata.labels)", message: images must come from registry.corp}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: corp-registry}
spec: {policyName: corp-registry, validationActions: [Deny]}
`

func admission(_ *testing.T, m *mesh) {
	m.under(noProbes, []string{"east"}, func() {
		trial := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "trial", Labels: map[string]string{"app.kubernetes.io/name": "meshfed-probe"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "b"}}}}
		m.inForce("east", trial, func(_ client.Object, err error) bool { return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) })
		m.unsure("trust,discovery,weights", []string{"images must come from registry.corp", "spec.verify.probe.namespace"})
	})
}

// noRevision: that such an istiod does not run is a failure of its own (INS001), in the suite discovery.
func noRevision(_ *testing.T, m *mesh) {
	m.unsure("weights,authorization", []string{"no sidecar was injected", "istio.io/rev=nosuch", "there is revision default"}, "--set", "spec.istio.revision=nosuch")
}

// isolated keeps the pods of each node from each other while verify runs, as a policy that denies by
// default does: only istiod and DNS are reached. The bridge of these nodes' network plugin can do
// that, which knows no NetworkPolicy.
func isolated(t *testing.T, m *mesh) {
	const script = `free=$(for a in "$@"; do ip neigh show $a dev cni0 | cut -d' ' -f3; done)
for d in /sys/class/net/veth*; do
  d=${d##*/}; mode=$MODE
  for a in $free; do bridge fdb show dev $d | grep -qi "^$a" && mode=off; done
  bridge link set dev $d isolated $mode
done`
	free := map[string][]string{}
	for _, cluster := range m.both() {
		for ns, label := range map[string]map[string]string{system: {"app": "istiod"}, "kube-system": {"k8s-app": "kube-dns"}} {
			pods, err := m.client(cluster).Pods(t.Context(), ns, label)
			if err != nil || len(pods) == 0 {
				t.Fatalf("%d pods with %v, %v", len(pods), label, err)
			}
			for _, p := range pods {
				free[cluster] = append(free[cluster], p.Status.PodIP)
			}
		}
	}
	set := func(ctx context.Context, mode string) {
		for _, cluster := range m.both() {
			args := append([]string{"exec", "-e", "MODE=" + mode, m.name + "-" + cluster + "-control-plane", "sh", "-c", script, "-"}, free[cluster]...)
			_ = m.engine.command(ctx, args...).Run() // a device that went meanwhile is no error
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			set(ctx, "on")
		}
	}()
	m.unsure("discovery,weights,locality,authorization", []string{"requests do not even arrive within", "a NetworkPolicy or firewall?"})
	stop()
	<-over
	set(t.Context(), "off")
}
