//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// plannedFile says nothing but names, so that everything is allocated.
const plannedFile = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: NAME}
spec:
  clusters:
`

func plannedClusters(name string, clusters ...string) string {
	text := strings.ReplaceAll(plannedFile, "NAME", name)
	for _, c := range clusters {
		text += "  - {name: " + c + "}\n"
	}
	return text
}

// TestPlan is the plan of a live mesh: it only reads, names what has drifted and nothing that moves
// by itself, is kept and done later or refused, and says what of the file can not be changed.
func TestPlan(t *testing.T) {
	before := inventory(t, podman(), "")
	m := meshOf(t, podman(), "mfe2ep", plannedClusters("mfe2ep", "west", "east"))
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	if r := m.run("up", "--verify", "never"); r.code != 0 {
		t.Fatal(r)
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T, *mesh)
	}{
		{"only reads are sent", onlyReads},
		{"described by its contexts", described},
		{"looked at without probes", lookOn},
		{"nothing that moves by itself is told", noNoise},
		{"drift is named and mended", driftByName},
		{"stale remote secrets", staleSecrets},
		{"a plan that is kept", keptPlan},
		{"what can not be changed", immutableFields},
		{"a cluster comes in front and another goes", allocationStays},
		{"a cluster is made anew", replaced},
		{"a cluster that the file no longer has", droppedCluster},
	} {
		t.Run(step.name, func(t *testing.T) { m.t = t; step.run(t, m) })
		m.t = t
	}
	m.must("down", "--delete-certs", "--yes")
	sameInventory(t, before, inventory(t, podman(), m.state))
}

// plannedStep is what the tests read of a Plan's step.
type plannedStep struct {
	ID, Action, Reason string
	Changes            []struct{ Path, Old, New string }
}

// plan reads the steps that would change something.
func (m *mesh) plan(args ...string) map[string]plannedStep {
	m.t.Helper()
	r := m.must(append([]string{"plan", "-o", "json"}, args...)...)
	var p struct {
		Kind  string
		Steps []plannedStep
	}
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || p.Kind != "Plan" {
		m.t.Fatalf("no plan: %v\n%s", err, r)
	}
	m.t.Logf("live plan of two clusters: %.2f s", r.took.Seconds())
	steps := map[string]plannedStep{}
	for _, s := range p.Steps {
		if s.Action != "none" {
			steps[s.ID] = s
		}
	}
	return steps
}

func (m *mesh) unchanged(when string) {
	m.t.Helper()
	if steps := m.plan(); len(steps) > 0 {
		m.t.Errorf("%s: plan sees %+v", when, steps)
	}
}

// onlyReads puts a recording API server before both clusters, by kubeconfigs in a copy of the
// state directory.
func onlyReads(t *testing.T, m *mesh) {
	state := filepath.Join(t.TempDir(), "state")
	if out, err := exec.Command("cp", "-a", m.state, state).CombinedOutput(); err != nil { // os.CopyFS opens folders to others
		t.Fatalf("copying the state: %v\n%s", err, out)
	}
	recorders := map[string]*kubetest.Recorder{}
	for _, name := range []string{"west", "east"} {
		recorders[name] = kubetest.Record(t, m.client(name).REST)
		path := filepath.Join(state, m.name, "kubeconfig", name)
		config, err := clientcmd.LoadFromFile(path)
		if err != nil {
			t.Fatal(err)
		}
		recorders[name].Before(config)
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			t.Fatal(err)
		}
	}
	through := *m
	through.state = state
	for _, args := range [][]string{{"plan"}, {"plan", "-o", "json"}, {"plan", "--out", filepath.Join(t.TempDir(), "p.json")}, {"status"}, {"down", "--dry-run"}} {
		for _, r := range recorders {
			r.Forget()
		}
		through.must(args...)
		for name, r := range recorders {
			if others := r.Others(); len(others) > 0 {
				t.Errorf("meshfed %v sent to %s: %v", args, name, others)
			}
			if args[0] != "down" && len(r.Requests()) < 10 {
				t.Errorf("meshfed %v sent %d requests through the recorder of %s: did it go past it?", args, len(r.Requests()), name)
			}
			t.Logf("meshfed %v: %d requests to %s", args, len(r.Requests()), name)
		}
	}
}

func patch(t *testing.T, c *kube.Client, obj client.Object, text string) {
	t.Helper()
	if err := c.Patch(contextFor(t, time.Minute), obj, client.RawPatch("application/merge-patch+json", []byte(text))); err != nil {
		t.Fatal(err)
	}
}

func noNoise(t *testing.T, m *mesh) {
	m.unchanged("right after up")
	west, ctx := m.client("west"), contextFor(t, 3*time.Minute)
	gateway := metav1.ObjectMeta{Namespace: system, Name: topology.EastWestGateway}
	least := int32(2)
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: gateway, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		MinReplicas: &least, MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: gateway.Name}}}
	if err := west.Create(ctx, hpa); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, west, "the autoscaler to act", func() (bool, string, error) {
		var d appsv1.Deployment
		err := west.Get(ctx, client.ObjectKeyFromObject(hpa), &d)
		return err == nil && d.Status.ReadyReplicas == 2, itoa(int(d.Status.ReadyReplicas)) + " replicas", err
	})
	patch(t, west, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}, `{"metadata": {"labels": {"team": "x"}, "annotations": {"a.example/b": "c"}}}`)
	patch(t, west, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "istiod"}}, `{"metadata": {"labels": {"team": "x"}}}`)
	patch(t, west, &corev1.Service{ObjectMeta: gateway}, `{"metadata": {"annotations": {"a.example/b": "c"}}}`)
	m.unchanged("an autoscaler, foreign labels and annotations")
	if r := m.must("up", "--verify", "never"); !strings.Contains(r.stdout, "nothing changed") {
		t.Errorf("up changed something: %s", r)
	}
	if err := west.Delete(ctx, hpa); err != nil {
		t.Fatal(err)
	}
	patch(t, west, &appsv1.Deployment{ObjectMeta: gateway}, `{"spec": {"replicas": 1}}`)
}

// wants fails unless the steps that would change are exactly those, each with a field.
func wants(t *testing.T, steps map[string]plannedStep, want map[string]string) {
	t.Helper()
	for id, path := range want {
		if !slices.ContainsFunc(steps[id].Changes, func(c struct{ Path, Old, New string }) bool { return c.Path == path }) {
			t.Errorf("%s does not name %s: %+v", id, path, steps[id])
		}
	}
	for id, s := range steps {
		if _, ok := want[id]; !ok {
			t.Errorf("%s would change too: %+v", id, s)
		}
	}
}

func driftByName(t *testing.T, m *mesh) {
	west, ctx := m.client("west"), contextFor(t, time.Minute)
	gateway := metav1.ObjectMeta{Namespace: system, Name: topology.EastWestGateway}
	var service corev1.Service
	if err := west.Get(ctx, client.ObjectKey{Namespace: system, Name: gateway.Name}, &service); err != nil {
		t.Fatal(err)
	}
	edited := service.DeepCopy()
	for i := range edited.Spec.Ports {
		if edited.Spec.Ports[i].Name == "status-port" {
			edited.Spec.Ports[i].Port = 16021
		}
	}
	if err := west.Update(ctx, edited); err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := west.Get(ctx, client.ObjectKey{Namespace: system, Name: gateway.Name}, &d); err != nil {
		t.Fatal(err)
	}
	d.Labels[topology.LabelOwner] = "somebody"
	if err := west.Update(ctx, &d); err != nil {
		t.Fatal(err)
	}
	patch(t, west, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}, `{"metadata": {"labels": {"topology.istio.io/network": null}}}`)
	var mesh corev1.ConfigMap
	if err := west.Get(ctx, client.ObjectKey{Namespace: system, Name: "istio"}, &mesh); err != nil {
		t.Fatal(err)
	}
	// istiod takes the mesh's ID from its values; in this ConfigMap it is what proxies are told.
	mesh.Data["mesh"] = strings.Replace(mesh.Data["mesh"], "meshId: "+m.name, "meshId: other", 1) + "\naccessLogEncoding: JSON\n"
	if err := west.Update(ctx, &mesh); err != nil {
		t.Fatal(err)
	}
	steps := m.plan()
	wants(t, steps, map[string]string{
		"namespace@west": "metadata.labels.topology.istio.io/network",
		"istiod@west":    "ConfigMap/istio data.mesh.defaultConfig.meshId",
		"eastwest@west":  "Service/" + gateway.Name + " spec.ports[name=status-port].port",
	})
	if !slices.ContainsFunc(steps["eastwest@west"].Changes, func(c struct{ Path, Old, New string }) bool {
		return c.Path == "Deployment/"+gateway.Name+" metadata.labels."+topology.LabelOwner && c.Old == "somebody"
	}) {
		t.Errorf("the gateway's Deployment is not named: %+v", steps["eastwest@west"])
	}
	if r := m.run("plan", "--detailed-exitcode"); r.code != 5 {
		t.Errorf("--detailed-exitcode: %s", r)
	}
	m.must("up", "--verify", "never")
	m.unchanged("after up has mended it")
}

func staleSecrets(t *testing.T, m *mesh) {
	west, east, ctx := m.client("west"), m.client("east"), contextFor(t, time.Minute)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("west")}}
	if err := east.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(secret.Data["west"])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server = "https://198.51.100.1:6443"
	}
	if secret.Data["west"], err = clientcmd.Write(*config); err != nil {
		t.Fatal(err)
	}
	if err := east.Update(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if s := m.plan()["remote-secret@east:west"]; s.Action != "update" || len(s.Changes) != 1 || s.Changes[0].Old != "https://198.51.100.1:6443" {
		t.Errorf("a server that moved: %+v", s)
	}
	// What revokes the token by which east reads west.
	if err := west.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "meshfed-remote-east"}}); err != nil {
		t.Fatal(err)
	}
	m.must("up", "--verify", "never")
	m.unchanged("after the token was revoked and renewed")
	if err := east.Delete(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if s := m.plan()["remote-secret@east:west"]; s.Action != "create" {
		t.Errorf("deleted: %+v", s)
	}
	m.must("up", "--verify", "never")
	m.unchanged("after the secret was made again")
}

func keptPlan(t *testing.T, m *mesh) {
	path := filepath.Join(t.TempDir(), "plan.json")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}
	label := func(network string) {
		patch(t, m.client("west"), ns, `{"metadata": {"labels": {"topology.istio.io/network": "`+network+`"}}}`)
	}
	label("edited")
	m.must("plan", "--out", path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the plan: %v, %v", info, err)
	}
	label("moved")
	r := m.run("up", "--plan", path, "--verify", "never")
	if r.code != 1 || !strings.Contains(r.stderr, "namespace@west was: update") || !strings.Contains(r.stderr, `"moved"`) || !strings.Contains(r.stderr, "nothing was changed") {
		t.Errorf("the world moved: %s", r)
	}
	if err := m.client("west").Get(contextFor(t, time.Minute), client.ObjectKeyFromObject(ns), ns); err != nil || ns.Labels[topology.LabelNetwork] != "moved" {
		t.Errorf("a refused plan has changed the label to %q (%v)", ns.Labels[topology.LabelNetwork], err)
	}
	label("edited")
	if r := m.run("up", "--plan", path, "--set", "spec.mesh.mtls=Strict"); r.code != 1 || !strings.Contains(r.stderr, "the topology file had sha256:") {
		t.Errorf("the file moved: %s", r)
	}
	m.must("up", "--plan", path, "--verify", "never")
	m.unchanged("after the plan was done")
	if r := m.run("up", "--plan", path, "--verify", "never"); r.code != 1 || !strings.Contains(r.stderr, "namespace@west was: update") {
		t.Errorf("done twice: %s", r)
	}
}

func immutableFields(t *testing.T, m *mesh) {
	for set, words := range map[string]string{
		"spec.mesh.id=other":                                        "mesh.id is " + m.name + " and the file says other",
		"spec.mesh.trustDomain=x.example":                           "mesh.trustDomain is cluster.local and the file says x.example",
		"spec.clusters[0].network=elsewhere":                        "the file says elsewhere",
		"spec.clusters[0].provider.kind.podSubnet=10.77.0.0/16":     "10.77.0.0/16 would move the live cluster",
		"spec.clusters[0].provider.kind.serviceSubnet=10.78.0.0/24": "10.78.0.0/24 would move the live cluster",
	} {
		steps := m.plan("--set", set)
		if s := steps["cluster@west"]; s.Action != "replace" || len(s.Changes) == 0 || !strings.Contains(s.Reason, "is deleted with all that runs in it") {
			t.Errorf("plan --set %s: %+v", set, s)
		}
		if s := steps["istiod@west"]; s.Action != "create" {
			t.Errorf("plan --set %s: %+v", set, s)
		}
		r := m.run("up", "--verify", "never", "--set", set)
		if r.code == 0 || !strings.Contains(r.stderr, words) || !strings.Contains(r.stderr, "--replace") {
			t.Errorf("up --set %s: %s", set, r)
		}
	}
	m.unchanged("after all that was refused")
}

// rewrite gives the mesh another file.
func (m *mesh) rewrite(text string) {
	m.t.Helper()
	if err := os.WriteFile(m.file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// allocationStays: a file in which the first cluster was removed, and others come before, leaves
// those that live where they are.
func allocationStays(t *testing.T, m *mesh) {
	defer m.rewrite(plannedClusters(m.name, "west", "east"))
	for name, clusters := range map[string][]string{"the first is gone": {"east"}, "one comes in front": {"north", "west", "east"}, "in another order": {"east", "west"}} {
		m.rewrite(plannedClusters(m.name, clusters...))
		for id, s := range m.plan() {
			if strings.HasPrefix(id, "cluster@") && id != "cluster@north" || strings.HasPrefix(id, "loadbalancer@") && id != "loadbalancer@north" || id == "owner@west" || id == "owner@east" {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

// replaced makes one cluster anew; the other one's credentials follow, and its nodes stay.
func replaced(t *testing.T, m *mesh) {
	id := func(cluster string) string {
		return m.engine.output(t, "inspect", "--format", "{{.Id}}", m.name+"-"+cluster+"-control-plane")
	}
	west, east := id("west"), id("east")
	m.must("up", "--replace", "west", "--verify", "always")
	if id("west") == west || id("east") != east {
		t.Error("not just west was made anew")
	}
	m.unchanged("after west was made anew")
}

func droppedCluster(t *testing.T, m *mesh) {
	m.rewrite(plannedClusters(m.name, "east"))
	steps := m.plan()
	wants(t, steps, map[string]string{"prune@east": "Secret/" + topology.RemoteSecretName("west")})
	if r := m.must("plan"); !strings.Contains(r.stdout, "kept: kind cluster "+m.name+"-west is not in the file") {
		t.Errorf("the plan does not tell of the cluster that was dropped: %s", r)
	}
	m.must("up", "--verify", "never")
	if !nodeExists(t, m.name+"-west") {
		t.Fatal("up removed a cluster unasked")
	}
	m.unchanged("after up without west")
	var left corev1.SecretList
	if err := m.client("east").List(context.Background(), &left, client.InNamespace(system), client.MatchingLabels{topology.LabelMultiCluster: "true"}); err != nil || len(left.Items) > 0 {
		t.Errorf("east holds %d remote secrets (%v)", len(left.Items), err)
	}
	if err := m.client("east").Get(t.Context(), client.ObjectKey{Namespace: system, Name: topology.EastWestGateway}, &appsv1.Deployment{}); err == nil {
		t.Error("east has an east-west gateway that nobody needs")
	}
	if s := m.plan("--prune-clusters")["cluster@west"]; s.Action != "delete" {
		t.Errorf("plan --prune-clusters: %+v", s)
	}
	m.must("up", "--prune-clusters", "--verify", "never")
	if nodeExists(t, m.name+"-west") || !nodeExists(t, m.name+"-east") {
		t.Error("--prune-clusters did not remove just west")
	}
	m.unchanged("after --prune-clusters")
}
