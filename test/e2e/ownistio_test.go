//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"istio.io/istio/manifests"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// inTheWay puts into the clusters what stands against them: a gateway that has only a name in one,
// two webhooks in two.
func (p *pair) inTheWay(t *testing.T) (undo func()) {
	t.Helper()
	one, two := p.one.client(t), p.two.client(t)
	system := kube.Namespace(topology.SystemNamespace, nil)
	gateway := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istio-eastwestgateway", Labels: map[string]string{"istio": "eastwestgateway"}}}
	class := "example.com/names-only"
	gateway.Spec.Type, gateway.Spec.LoadBalancerClass = corev1.ServiceTypeLoadBalancer, &class
	gateway.Spec.Ports = []corev1.ServicePort{{Name: "tls", Port: 15443}}
	create(t, one, system, gateway)
	gateway.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "gateway.example.com"}}
	if err := one.Status().Update(t.Context(), gateway); err != nil {
		t.Fatal(err)
	}
	none, url := admissionv1.SideEffectClassNone, "https://istiod.example.com/inject"
	nowhere := &metav1.LabelSelector{MatchLabels: map[string]string{"nobody": "has-this"}}
	hook := func(name string, labels map[string]string, to admissionv1.WebhookClientConfig) *admissionv1.MutatingWebhookConfiguration {
		return &admissionv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
			Webhooks: []admissionv1.MutatingWebhook{{
				Name: name + ".example.com", ClientConfig: to, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: nowhere,
				Rules: []admissionv1.RuleWithOperations{{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}},
			}},
		}
	}
	policy := hook("company-policy", nil, admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "shop", Name: "policy"}})
	canary := hook("istio-sidecar-injector-canary", map[string]string{"app": "sidecar-injector"}, admissionv1.WebhookClientConfig{URL: &url})
	create(t, two, policy, canary)
	return func() {
		removeAll(t, one, gateway, system)
		removeAll(t, two, policy, canary)
	}
}

// roots gives each cluster an intermediate of the user's: of one root, or of two.
func (p *pair) roots(t *testing.T, same bool) (undo func()) {
	t.Helper()
	root, another := newRoot(t), newRoot(t)
	if same {
		another = root
	}
	one, two := p.one.client(t), p.two.client(t)
	create(t, one, kube.Namespace(topology.SystemNamespace, nil), issued(t, root, "one"))
	create(t, two, kube.Namespace(topology.SystemNamespace, nil), issued(t, another, "two"))
	return func() {
		removeAll(t, one, kube.Namespace(topology.SystemNamespace, nil))
		removeAll(t, two, kube.Namespace(topology.SystemNamespace, nil))
	}
}

func newRoot(t *testing.T) *certs.Root {
	t.Helper()
	root, err := certs.NewRoot(options("root", 48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func options(name string, lifetime time.Duration) certs.Options {
	return certs.Options{CommonName: name + ".example.com", Organization: "example", Algorithm: topology.AlgorithmECDSAP256, Lifetime: lifetime, Now: time.Now()}
}

// issued is the secret cacerts as a user makes it.
func issued(t *testing.T, root *certs.Root, name string) *corev1.Secret {
	t.Helper()
	made, err := root.NewCACerts(options(name, 24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, Data: made.Data()}
}

func create(t *testing.T, c *kube.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// removeAll deletes objects, and waits for namespaces to be gone.
func removeAll(t *testing.T, c *kube.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Remove(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		await(t, o.GetName()+" to be gone", goneFrom(c, o))
	}
}

// theirs installs Istio as its guide says: its charts, by Helm, with values of the user's. Nothing
// of it carries a label of this program.
func (p *pair) theirs(t *testing.T, root *certs.Root, meshID string) {
	t.Helper()
	c := p.two.client(t)
	create(t, c, kube.Namespace(topology.SystemNamespace, map[string]string{topology.LabelNetwork: "two-network"}), issued(t, root, "two"))
	global := map[string]any{
		"hub": "docker.io/istio", "tag": topology.IstioVersion, "imagePullPolicy": "IfNotPresent",
		"meshID": meshID, "network": "two-network", "multiCluster": map[string]any{"clusterName": "two"},
	}
	values := map[string]any{"global": global, "env": map[string]any{"THEIRS": "stays"}, "resources": map[string]any{"requests": map[string]any{"cpu": "10m", "memory": "64Mi"}}}
	if b, err := bundle.Open(bundle.DefaultDir()); err != nil {
		t.Fatal(err)
	} else if b.Settings.UpstreamEnvoy { // proxies that lack Istio's own filters must not be sent any
		values["env"] = map[string]any{"THEIRS": "stays", "PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
		values["telemetry"] = map[string]any{"enabled": false}
		values["meshConfig"] = map[string]any{"defaultProviders": map[string]any{"metrics": []any{}}}
	}
	for _, r := range []install.Release{
		{Name: "istio-base", Chart: install.Chart{FS: chart(t, "base")}},
		{
			Name: "istiod", Chart: install.Chart{FS: chart(t, "istio-control/istio-discovery")}, Values: values,
			Wait: []install.Workload{{Kind: "Deployment", Name: "istiod"}},
		},
	} {
		r.Namespace, r.Chart.Version = topology.SystemNamespace, topology.IstioVersion
		if err := r.Do(t.Context(), c, graph.Change{Action: graph.Create}); err != nil {
			t.Fatal(err)
		}
	}
}

func chart(t *testing.T, folder string) fs.FS {
	t.Helper()
	files, err := fs.Sub(manifests.FS, "charts/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// settled is what a cluster holds but for what each installation of a release numbers or names
// anew: Helm's records, ReplicaSets and pods.
func settled(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return strings.HasPrefix(line, "Secret istio-system/sh.helm.release.v1.") || strings.HasPrefix(line, "ReplicaSet.apps istio-system/") || strings.HasPrefix(line, "Pod istio-system/") ||
			strings.HasPrefix(line, "EndpointSlice.discovery.k8s.io istio-system/")
	})
}

// adopted: an Istio of the user's is refused with what was found; taken over, it serves the mesh and
// is given back; left to the user, it is checked only, beside what is managed.
func adopted(t *testing.T, p *pair) {
	m := p.m
	root := newRoot(t)
	p.theirs(t, root, "theirs")
	theirs := settled(contents(t, p.two.client(t)))
	store := certs.Store{Dir: filepath.Join(m.state, m.name, "pki")}
	if err := store.Create(root); err != nil {
		t.Fatal(err)
	}
	one := reached + west + atPeer
	two := func(more string) string { return reached + east + atPeer + metallb + more }
	adopt := func() string {
		return strings.Replace(two("    manage: {cacerts: false}\n"), "context: prod}", "context: prod, adopt: true}", 1)
	}
	const id = "  mesh: {id: theirs}\n"
	const mesh = id + "  certificates: {intermediate: {lifetime: 24h}}\n"
	refused := func(name, mesh, two string, want ...string) {
		t.Run(name, func(t *testing.T) {
			m.t = t
			p.write(t, mesh, one, two)
			up := m.run(p.up("--verify", "never")...)
			if up.code == 0 {
				t.Errorf("it is not refused: %s", up)
			}
			for _, w := range want {
				if !strings.Contains(up.stderr, w) {
					t.Errorf("it does not say %q:\n%s", w, up.stderr)
				}
			}
			p.wroteNothing(t)
		})
		m.t = t
	}
	p.byOne.written()
	p.byTwo.written()
	refused("not asked for", mesh, two(""), "Istio is there already: Istio "+topology.IstioVersion, "revision default", "mesh ID theirs", "cluster name two", "network two-network",
		"Helm release istio-system/istiod", "root "+certs.Fingerprint(root.Certificate), "adopt: true", "manage: {istio: false}")
	refused("intermediates that outlive the root", id, adopt(), "an intermediate for one would live", "spec.certificates.intermediate.lifetime")
	refused("another mesh ID", "", adopt(), "its istiod has the mesh ID theirs, and the file says mfe2epair", "spec.mesh.id")
	refused("left to the user with another mesh ID", "", two("    manage: {istio: false, cacerts: false}\n"), "its istiod has the mesh ID theirs")

	t.Run("taken over and given back", func(t *testing.T) { m.t = t; takenOver(t, p, mesh, one, adopt(), theirs) })
	m.t = t
	t.Run("left to the user", func(t *testing.T) {
		m.t = t
		if err := store.Create(root); err != nil { // the first down has removed it
			t.Fatal(err)
		}
		beside(t, p, mesh, one, two("    manage: {istio: false, cacerts: false}\n"), theirs)
	})
	m.t = t
}

// takenOver lets the program have the user's Istio, and asks for it back.
func takenOver(t *testing.T, p *pair, mesh, one, two string, theirs []string) {
	m := p.m
	p.write(t, mesh, one, two)
	m.must(p.up("--verify", "never")...)
	istiod := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: "istiod"}}
	look := func() {
		t.Helper()
		if err := p.two.client(t).Get(t.Context(), keyOf(istiod), istiod); err != nil {
			t.Fatal(err)
		}
		if istiod.Labels[topology.LabelTopology] != "" {
			t.Error("the user's istiod says that it is ours")
		}
		if !slices.ContainsFunc(istiod.Spec.Template.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "THEIRS" && e.Value == "stays" }) {
			t.Error("what the user told istiod is gone")
		}
	}
	look()
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan sees changes: %s", plan)
	}
	provenHere(t, m)
	down := m.must("down", "--delete-certs", "--yes", "-v")
	if !strings.Contains(down.stdout, "release istiod is kept: it was there before and was only taken over") {
		t.Errorf("down does not say what it gives back:\n%s", down.stdout)
	}
	look()
	p.theirsStill(t, theirs)
}

// layersOfTheUser are requests for what belongs to istiod and its intermediate.
var layersOfTheUser = regexp.MustCompile(`deployments/istiod|secrets/cacerts|customresourcedefinitions/.*\.istio\.io|configmaps/istio-sidecar-injector`)

// beside leaves Istio and its intermediate to the user, and manages gateways and remote secrets.
func beside(t *testing.T, p *pair, mesh, one, two string, theirs []string) {
	m := p.m
	p.byTwo.written()
	p.write(t, mesh, one, two)
	m.must(p.up("--verify", "never")...)
	for _, w := range p.byTwo.written() {
		if layersOfTheUser.MatchString(w) {
			t.Errorf("up wrote what is not its own: %s", w)
		}
	}
	if plan := m.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan sees changes: %s", plan)
	}
	provenHere(t, m)
	m.must("down", "--delete-certs", "--yes", "-v")
	p.theirsStill(t, theirs)
}

// provenHere is the proof of a mesh of two.
func provenHere(t *testing.T, m *mesh) {
	t.Helper()
	rep := m.parse(m.run("verify", "-o", "json", "--suite", "trust,discovery,weights,authorization"))
	t.Logf("verify: %.1f s, %v", rep.DurationSeconds, rep.Summary)
	if rep.Summary["pass"] == 0 || rep.Summary["fail"]+rep.Summary["inconclusive"] > 0 {
		t.Errorf("%v\n%s", rep.Summary, rep.words())
	}
}

// theirsStill: two is as the user had installed it, and one as it was.
func (p *pair) theirsStill(t *testing.T, theirs []string) {
	t.Helper()
	if diff := sameContents(t, p.one.client(t), p.beforeOne); diff != "" {
		t.Errorf("one is not as it was (-before +after):\n%s", diff)
	}
	if diff := sameLines(theirs, settled(contents(t, p.two.client(t)))); diff != "" {
		t.Errorf("two is not as the user had it (-before +after):\n%s", diff)
	}
}
