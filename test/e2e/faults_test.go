//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

const system = topology.SystemNamespace

// failsIn runs a verify that must fail, in the suite and with one of the codes.
func (m *mesh) failsIn(suite string, codes ...string) report {
	m.t.Helper()
	return m.failsOf("trust,discovery,weights,locality,authorization", suite, codes...)
}

// failsOf is failsIn for a verify of some suites only.
func (m *mesh) failsOf(suites, suite string, codes ...string) report {
	m.t.Helper()
	r := m.run("verify", "-o", "json", "--suite", suites)
	if r.code != 3 {
		m.t.Fatalf("verify on a broken mesh: want exit code 3, %s", r)
	}
	rep := m.parse(r)
	if !slices.Contains(rep.failing(), suite) {
		m.t.Errorf("suite %s did not fail:\n%s", suite, rep.words())
	}
	if !slices.ContainsFunc(rep.codes(), func(c string) bool { return slices.Contains(codes, c) }) {
		m.t.Errorf("none of the codes %v among %v:\n%s", codes, rep.codes(), rep.words())
	}
	if left := m.probesLeft(); len(left) > 0 {
		m.t.Errorf("verify left %v", left)
	}
	m.t.Logf("verify failed in %v with %v after %.1f s", rep.failing(), rep.codes(), r.took.Seconds())
	return rep
}

// diagnosed runs diagnose, which must name one of the codes as a cause of its own, and, where no
// code is given, find nothing.
func (m *mesh) diagnosed(codes ...string) {
	m.t.Helper()
	r := m.run("diagnose", "-o", "json")
	var found struct {
		Kind     string
		Unseen   []string
		Findings []struct {
			Code, Message, Fix string
			CausedBy           []struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || found.Kind != "Findings" {
		m.t.Fatalf("the findings are no JSON: %v, %s", err, r)
	}
	want := 3
	if len(codes) == 0 {
		want = 0
	}
	if r.code != want || len(found.Findings) > 0 != (len(codes) > 0) || len(found.Unseen) > 0 {
		m.t.Errorf("diagnose: want exit code %d, %s", want, r)
	}
	var causes []string
	for _, f := range found.Findings {
		m.t.Logf("diagnose: %s %s, because of %v; %s", f.Code, f.Message, f.CausedBy, f.Fix)
		if len(f.CausedBy) == 0 {
			causes = append(causes, f.Code)
		}
	}
	if len(codes) > 0 && !slices.ContainsFunc(causes, func(c string) bool { return slices.Contains(codes, c) }) {
		m.t.Errorf("diagnose names the causes %v, want one of %v", causes, codes)
	}
}

// repaired runs `up`, which has to change something and prove the mesh again.
func (m *mesh) repaired() {
	m.t.Helper()
	r := m.run("up")
	if r.code != 0 {
		m.t.Fatalf("up did not repair it: %s", r)
	}
	if strings.Contains(r.stdout, "nothing changed") {
		m.t.Errorf("up saw nothing to repair: %s", r.stdout)
	}
}

func withoutRemoteSecret(t *testing.T, m *mesh) {
	ctx := contextFor(t, time.Minute)
	err := m.client("west").Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.RemoteSecretName("east")}})
	if err != nil {
		t.Fatal(err)
	}
	m.failsIn("discovery", "FED001")
	m.diagnosed("FED001")
	m.repaired()
}

func withoutGateway(t *testing.T, m *mesh) {
	m.scaledToZero("east", topology.EastWestGateway, topology.EastWestSelector)
	m.failsIn("discovery", "NET001", "NET005", "NET008", "NET007", "NET003")
	m.diagnosed("NET008")
	m.repaired()
}

// withoutIngress is seen by the clients outside of the mesh, from this host and from the
// clusters' network.
func withoutIngress(t *testing.T, m *mesh) {
	m.scaledToZero("west", topology.IngressGateway, topology.IngressSelector)
	rep := m.failsIn("authorization", "NET010")
	for _, client := range []string{"host", "container"} {
		if !slices.ContainsFunc(rep.Checks, func(c check) bool {
			return c.ID == "authorization-outside-answers" && c.To == "west" && c.Variant == client && c.Status == "fail"
		}) {
			t.Errorf("the %s did not see it:\n%s", client, rep.words())
		}
	}
	m.repaired()
}

// scaledToZero takes a gateway of a cluster away and waits until its pods are gone.
func (m *mesh) scaledToZero(cluster, name, selector string) {
	t := m.t
	t.Helper()
	ctx := contextFor(t, time.Minute)
	c := m.client(cluster)
	gateway := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
	err := c.Patch(ctx, gateway, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`)))
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, c, "the gateway to be gone", func() (bool, string, error) {
		pods, err := c.Pods(ctx, system, map[string]string{"istio": selector})
		return len(pods) == 0, "pods still there", err
	})
}

func withoutExposure(t *testing.T, m *mesh) {
	ctx := contextFor(t, time.Minute)
	err := m.client("east").Delete(ctx, &networking.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.CrossNetworkGateway}})
	if err != nil {
		t.Fatal(err)
	}
	m.failsIn("discovery", "NET005")
	m.diagnosed("NET005")
	m.repaired()
}

// foreignRoot gives east a CA of another root and restarts istiod: trust fails from files
// and on the wire; `up` refuses to touch a CA that it did not issue, says how to have it
// replaced, and replaces it once that is done.
func foreignRoot(t *testing.T, m *mesh) {
	ctx := contextFor(t, 5*time.Minute)
	c := m.client("east")
	root, err := certs.NewRoot(certs.Options{CommonName: "other root", Organization: "other", Algorithm: "ECDSA-P256", Lifetime: 24 * time.Hour, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	other, err := root.NewCACerts(certs.Options{CommonName: "other intermediate", Organization: "other", Algorithm: "ECDSA-P256", Lifetime: 12 * time.Hour, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: system, Name: topology.CACertsSecret}, &secret); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, &secret); err != nil {
		t.Fatal(err)
	}
	replaced := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: topology.CACertsSecret}, Data: other.Data()}
	if err := c.Create(ctx, replaced); err != nil {
		t.Fatal(err)
	}
	restart(t, c, "istiod")
	waitUntil(t, c, "istio-ca-root-cert to change", func() (bool, string, error) {
		var roots corev1.ConfigMap
		err := c.Get(ctx, client.ObjectKey{Namespace: system, Name: topology.RootCertConfigMap}, &roots)
		return roots.Data["root-cert.pem"] == string(other.RootCert), "still the old root", err
	})
	rep := m.failsIn("trust", "TRU001")
	for _, source := range []string{"cacerts", "istio-ca-root-cert", "wire"} {
		if !rep.trustFailsFrom(source) {
			t.Errorf("trust did not fail from %s:\n%s", source, rep.words())
		}
	}
	m.diagnosed("TRU001")

	refused := m.run("up")
	if refused.code == 0 || !strings.Contains(refused.stderr, "SHA256:") || !strings.Contains(refused.stderr, "delete secret cacerts") {
		t.Fatalf("up should refuse a foreign CA, with fingerprints and the command that removes it: %s", refused)
	}
	if err := c.Delete(ctx, replaced); err != nil {
		t.Fatal(err)
	}
	m.repaired()
}

// trustFailsFrom says whether a check of trust failed whose id or variant names the source.
func (r report) trustFailsFrom(source string) bool {
	for _, c := range r.Checks {
		if c.Suite == "trust" && c.Status == "fail" && (strings.Contains(c.ID, source) || strings.Contains(c.Variant, source)) {
			return true
		}
	}
	return false
}

// restart restarts a Deployment as kubectl does and waits for it.
func restart(t *testing.T, c *kube.Client, name string) {
	t.Helper()
	ctx := contextFor(t, 3*time.Minute)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
	patch := `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"` + time.Now().Format(time.RFC3339) + `"}}}}}`
	if err := c.Patch(ctx, d, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, c, name+" to be ready again", func() (bool, string, error) { return c.DeploymentState(ctx, system, name) })
}

// waitUntil waits for something in a cluster, at most three minutes.
func waitUntil(t *testing.T, c *kube.Client, what string, look func() (bool, string, error)) {
	t.Helper()
	o := poll.Options{What: what + " in " + c.Cluster, Interval: 300 * time.Millisecond, Deadline: 3 * time.Minute}
	err := poll.Until(t.Context(), o, func(context.Context) (bool, string, error) { return look() })
	if err != nil {
		t.Fatal(err)
	}
}

// probesLeft names probe namespaces that are still there.
func (m *mesh) probesLeft() []string {
	m.t.Helper()
	var left []string
	for _, cluster := range []string{"west", "east"} {
		var namespaces corev1.NamespaceList
		if err := m.client(cluster).List(contextFor(m.t, time.Minute), &namespaces); err != nil {
			m.t.Fatal(err)
		}
		for _, ns := range namespaces.Items {
			if strings.Contains(ns.Name, "meshfed") {
				left = append(left, cluster+"/"+ns.Name)
			}
		}
	}
	return left
}
