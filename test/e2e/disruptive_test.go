//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1alpha3"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// TestAllDisruptive takes gateways and the network away, is killed and interrupted meanwhile, and
// is hindered from restoring. It takes too long for two cores in CI: `make e2e-all`.
func TestAllDisruptive(t *testing.T) {
	onlyAll(t)
	before := inventory(t, podman(), "")
	m := newMesh(t, "mfe2e-disrupt")
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	m.must("up", "--verify", "never")
	for _, one := range []trial{
		{"four ways", fourWays},
		{"killed without the gateway", killedWithoutGateway},
		{"killed without the network", killedWithoutNetwork},
		{"interrupted without the gateway", interruptedWithoutGateway},
		{"nobody is ejected", nobodyEjected},
		{"restoring is refused", restoringRefused},
	} {
		t.Run(one.name, func(t *testing.T) {
			m.t = t
			one.run(t, m)
		})
		m.t = t
	}
	m.unchanged("after all faults")
	m.must("down", "--delete-certs")
	sameInventory(t, before, inventory(t, m.engine, m.state))
}

func fourWays(t *testing.T, m *mesh) {
	// Thresholds are for a quiet machine: see newMesh.
	r := m.run("verify", "-o", "json", "--suite", "failover", "--disruptive", "--set", "spec.verify.failover.within=30s", "--set", "spec.verify.failover.lostAtMost=400")
	if r.code != 0 {
		t.Fatalf("verify: %s\n%s", m.parse(r).words(), r.stderr)
	}
	for _, words := range []string{"the east-west gateway of east is scaled to 0", "nodes of west drop all that comes from east"} {
		if !strings.Contains(r.stderr, "disruptive: "+words) {
			t.Errorf("it is not said beforehand that %s: %s", words, r.stderr)
		}
	}
	for _, c := range m.parse(r).Checks {
		t.Log(c.ID, c.From, c.To, c.Variant, c.Status, c.Message)
	}
	m.unchanged("after gateways and the network went away")
}

// faultOn is the journal on an object of a cluster; "" without one.
func (m *mesh) faultOn(cluster string, obj client.Object) string {
	if err := m.client(cluster).Get(contextFor(m.t, 10*time.Second), client.ObjectKeyFromObject(obj), obj); err != nil {
		return ""
	}
	return obj.GetAnnotations()[verify.AnnotationFault]
}

func eastGateway() *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.EastWestGateway}}
}

func (m *mesh) westNode() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.name + "-west-control-plane"}}
}

// whileAway ends a disruptive verify with a signal as soon as an object carries a fault.
func (m *mesh) whileAway(signal os.Signal, cluster string, obj func() client.Object) result {
	return m.stop(signal, func(string) bool { return m.faultOn(cluster, obj()) != "" }, "verify", "--suite", "failover", "--disruptive")
}

// reported: who only looks says what is left, changes nothing, and names who mends it.
func (m *mesh) reported(what string) {
	m.t.Helper()
	for _, args := range [][]string{{"status"}, {"plan", "--detailed-exitcode"}} {
		r := m.run(args...)
		want := map[string]int{"status": 3, "plan": 5}[args[0]]
		if r.code != want || !strings.Contains(r.stdout, what) || !strings.Contains(r.stdout, "`meshfed up` restores it first") {
			m.t.Errorf("%s does not say %q: %s", args[0], what, r)
		}
	}
}

// killedWithoutGateway is restored by the next verify, which knows no state folder: what stands
// on the Deployment is enough.
func killedWithoutGateway(t *testing.T, m *mesh) {
	m.whileAway(syscall.SIGKILL, "east", func() client.Object { return eastGateway() })
	m.reported("Deployment istio-system/istio-eastwestgateway of east is scaled to 0, it had 1 replica")
	if m.faultOn("east", eastGateway()) == "" {
		t.Error("who only looks restored it")
	}
	state := m.state
	m.state = t.TempDir()
	r := m.run("verify", "--suite", "discovery")
	m.state = state
	if r.code != 0 || !strings.Contains(r.stdout, "restored what a killed run had left: Deployment istio-system/istio-eastwestgateway of east has its 1 replica again") {
		t.Errorf("verify: %s", r)
	}
	m.unchanged("after verify restored the gateway")
}

// killedWithoutNetwork is restored by the next up.
func killedWithoutNetwork(t *testing.T, m *mesh) {
	cut := func() bool {
		return strings.Contains(m.engine.output(t, "exec", m.westNode().Name, "nft", "list", "tables"), "inet meshfed_fault")
	}
	m.stop(syscall.SIGKILL, func(string) bool { return cut() }, "verify", "--suite", "failover", "--disruptive")
	if m.faultOn("west", m.westNode()) == "" {
		t.Error("a cut that no object tells of")
	}
	m.reported("lets nothing through from east")
	r := m.run("up", "--verify", "never")
	if r.code != 0 || !strings.Contains(r.stderr, "restored what a killed run had left: Node "+m.westNode().Name+" of west lets everything through again") {
		t.Errorf("up: %s", r)
	}
	if left := m.faultOn("west", m.westNode()); cut() || left != "" {
		t.Errorf("left: a cut: %v, journal %q", cut(), left)
	}
	m.must("verify", "--suite", "discovery") // also removes the probes that were left
	m.unchanged("after up mended the network")
}

func interruptedWithoutGateway(t *testing.T, m *mesh) {
	r := m.whileAway(syscall.SIGINT, "east", func() client.Object { return eastGateway() })
	gateway := eastGateway()
	if left := m.faultOn("east", gateway); left != "" || *gateway.Spec.Replicas != 1 || r.took > 10*time.Second {
		t.Errorf("%.1f s after the interrupt: %d replicas, journal %q", r.took.Seconds(), *gateway.Spec.Replicas, left)
	}
	if left := m.probesLeft(); len(left) > 0 {
		t.Logf("probes that are being removed: %q", left)
	}
}

// nobodyEjected is a mesh whose Envoys never give up an endpoint, whatever its rules say.
func nobodyEjected(t *testing.T, m *mesh) {
	// Not enforcing_consecutive_5xx: 0, which a merge takes for a value that was not given.
	never, err := structpb.NewStruct(map[string]any{"outlier_detection": map[string]any{"consecutive_5xx": 1000000}})
	if err != nil {
		t.Fatal(err)
	}
	filter := &networking.EnvoyFilter{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "mfe2e-no-ejection"}, Spec: networkingapi.EnvoyFilter{
		ConfigPatches: []*networkingapi.EnvoyFilter_EnvoyConfigObjectPatch{{
			ApplyTo: networkingapi.EnvoyFilter_CLUSTER,
			Match:   &networkingapi.EnvoyFilter_EnvoyConfigObjectMatch{Context: networkingapi.EnvoyFilter_SIDECAR_OUTBOUND},
			Patch:   &networkingapi.EnvoyFilter_Patch{Operation: networkingapi.EnvoyFilter_Patch_MERGE, Value: never},
		}},
	}}
	ctx := contextFor(t, time.Minute)
	if err := m.client("west").Create(ctx, filter); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.client("west").Delete(contextFor(t, time.Minute), filter) })
	r := m.run("verify", "-o", "json", "--suite", "failover", "--disruptive")
	rep := m.parse(r)
	for _, variant := range []string{"errors", "gateway", "network"} {
		if r.code != 3 || !slices.ContainsFunc(rep.Checks, func(c check) bool {
			return c.ID == "failover-switch" && c.From == "west" && c.Variant == variant && c.Status == "fail" && c.Code == "LOC005"
		}) {
			t.Errorf("%s does not fail with LOC005 from west (exit code %d):\n%s", variant, r.code, rep.words())
		}
	}
	if slices.ContainsFunc(rep.Checks, func(c check) bool { return c.ID == "failover-restored" && c.Status != "pass" && c.Status != "skip" }) {
		t.Errorf("what was taken away did not come back:\n%s", rep.words())
	}
}

// restoringRefused is a cluster whose policy lets nobody scale a Deployment up from 0.
func restoringRefused(t *testing.T, m *mesh) {
	const name = "mfe2e-stays-away"
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
		}}}},
		Validations: []admissionv1.Validation{{Expression: "!(oldObject.spec.replicas == 0 && object.spec.replicas > 0)", Message: "it stays away"}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}}}
	c, ctx := m.client("east"), contextFor(t, time.Minute)
	for _, obj := range []client.Object{policy, binding} {
		if err := c.Create(ctx, obj); err != nil {
			t.Fatal(err)
		}
	}
	lift := func() {
		_ = c.Delete(contextFor(t, time.Minute), binding)
		_ = c.Delete(contextFor(t, time.Minute), policy)
	}
	t.Cleanup(lift)
	r := m.run("verify", "-o", "json", "--suite", "failover", "--disruptive")
	rep := m.parse(r)
	if r.code != 3 || !slices.ContainsFunc(rep.Checks, func(c check) bool {
		return c.ID == "failover-restored" && c.To == "east" && c.Status == "fail" && c.Code == "LOC011" && strings.Contains(c.Message, "it stays away")
	}) {
		t.Errorf("the refusal is not reported (exit code %d):\n%s", r.code, rep.words())
	}
	m.reported("is scaled to 0, it had 1 replica")
	lift()
	// The API server may hold on to a policy for a moment.
	waitUntil(t, c, "up to restore the gateway", func() (bool, string, error) {
		r := m.run("up", "--verify", "never")
		return r.code == 0, r.stderr, nil
	})
}
