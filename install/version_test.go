// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

// controlPlane is an istiod as Istio's chart labels it.
func controlPlane(name, revision, version string, labels map[string]string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: name, Labels: kube.Labels(labels, map[string]string{
		"app": "istiod", "istio.io/rev": revision, "helm.sh/chart": "istiod-" + version, "app.kubernetes.io/version": version,
	})}}
	return d
}

func TestControlPlanes(t *testing.T) {
	t.Parallel()
	old := controlPlane("istiod-old", "old", "", nil)
	delete(old.Labels, "app.kubernetes.io/version")
	old.Labels["helm.sh/chart"] = "istiod"
	old.Spec.Template.Spec.Containers = []corev1.Container{{Name: "discovery", Image: "registry.example:5000/istio/pilot:1.29.2@sha256:abc"}}
	other := controlPlane("istiod-elsewhere", "x", "1.0.0", nil)
	other.Namespace = "istio-two"
	c := kubetest.New(t, "west", controlPlane("istiod", "default", "1.31.1", nil), old, other)
	planes, err := ControlPlanes(t.Context(), c.Client)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range planes {
		got = append(got, p.Name+" "+p.Revision+" "+p.Version)
	}
	if diff := cmp.Diff([]string{"istiod default 1.31.1", "istiod-old old 1.29.2"}, got); diff != "" {
		t.Errorf("control planes (-want +got):\n%s", diff)
	}
}

// up never changes a minor version, nor the revision: every part that would says so before it
// writes anything.
func TestUpgradesAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version, revision string // of the file
		runs              *appsv1.Deployment
		err               string
	}{
		"same":                {"1.31.0", "", controlPlane("istiod", "default", "1.31.0", twoClusters().labels()), ""},
		"patch":               {"1.31.4", "", controlPlane("istiod", "default", "1.31.0", twoClusters().labels()), ""},
		"older patch":         {"1.31.0", "", controlPlane("istiod", "default", "1.31.4", twoClusters().labels()), ""},
		"minor up":            {"1.31.0", "", controlPlane("istiod", "default", "1.30.2", twoClusters().labels()), "version 1.30.2 of Istio runs, and the file says 1.31.0: up never changes a minor version, and an upgrade is planned"},
		"minor down":          {"1.30.2", "", controlPlane("istiod", "default", "1.31.0", twoClusters().labels()), "and a downgrade is planned"},
		"someone's, replaced": {"1.31.0", "", controlPlane("istiod", "default", "1.30.2", nil), "up never changes a minor version"},
		"someone's, beside":   {"1.31.0", "blue", controlPlane("istiod", "default", "1.30.2", nil), ""},
		"new revision":        {"1.31.0", "blue", controlPlane("istiod", "default", "1.31.0", twoClusters().labels()), "istiod of revision default runs, and the file says blue"},
		"revision gone":       {"1.31.0", "", controlPlane("istiod-blue", "blue", "1.31.0", twoClusters().labels()), "istiod of revision blue runs, and the file says default"},
		"revision kept":       {"1.31.0", "blue", controlPlane("istiod-blue", "blue", "1.31.0", twoClusters().labels()), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := twoClusters()
			m.Topology.Spec.Istio.Version, m.Topology.Spec.Istio.Revision = tc.version, tc.revision
			c := kubetest.New(t, "west", tc.runs)
			err := m.keepsVersion(t.Context(), c.Client)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error: %v", err)
			}
			if tc.err == "" {
				return
			}
			for _, part := range []Part{IstioBase{m}, Istiod{m}} {
				if _, err := part.Look(t.Context(), c.Client); err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%T: %v", part, err)
				}
			}
		})
	}
}

// With a tag, pods can be injected only when its webhook can be called too.
func TestWebhookOfATag(t *testing.T) {
	t.Parallel()
	webhook := func(name, bundle string) *admissionv1.MutatingWebhookConfiguration {
		return &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name},
			Webhooks: []admissionv1.MutatingWebhook{{Name: "a", ClientConfig: admissionv1.WebhookClientConfig{CABundle: []byte(bundle)}}}}
	}
	m := twoClusters()
	m.Topology.Spec.Istio.Revision, m.Topology.Spec.Istio.Tag = "blue", "stable"
	for name, tc := range map[string]struct {
		tag   *admissionv1.MutatingWebhookConfiguration
		ready bool
		state string
	}{
		"absent":      {webhook("istio-revision-tag-other", "x"), false, "istio-revision-tag-stable is not there yet"},
		"no caBundle": {webhook("istio-revision-tag-stable", ""), false, "no caBundle yet"},
		"there":       {webhook("istio-revision-tag-stable", "x"), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t, "west", webhook("istio-sidecar-injector-blue", "x"), tc.tag)
			ready, state, err := m.webhook(t.Context(), c.Client, nil)
			if err != nil || ready != tc.ready || !strings.Contains(state, tc.state) {
				t.Errorf("ready %v, state %q, error %v", ready, state, err)
			}
		})
	}
}

// Everything of a revision that Istio's charts name after it is named so, the tag's webhook and
// the validating one lead to it, and gateways are injected by it.
func TestRevisionAndTagAreRendered(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	m.Topology.Spec.Istio.Revision, m.Topology.Spec.Istio.Tag = "blue", "stable"
	all := releases(t, m, "west")
	manifest := render(t, all["istiod"])
	object(t, manifest, "Deployment", "istiod-blue")
	object(t, manifest, "MutatingWebhookConfiguration", "istio-sidecar-injector-blue")
	object(t, manifest, "Service", "istiod-revision-tag-stable")
	golden.Check(t, "testdata/istiod-revision-tag.yaml", asYAML(t, object(t, manifest, "MutatingWebhookConfiguration", "istio-revision-tag-stable").Object))
	golden.Check(t, "testdata/base-validator-blue.yaml", asYAML(t, object(t, render(t, all["base"]), "ValidatingWebhookConfiguration", "istiod-default-validator").Object))
	for _, name := range []string{"ingress", "eastwest"} {
		if !strings.Contains(render(t, all[name]), "istio.io/rev: blue") {
			t.Errorf("%s is not injected by the revision", name)
		}
	}
}

// Later ones win: what is derived, values, meshConfig, the cluster's values, the cluster's
// meshConfig. Maps are merged and lists replaced.
func TestOrderOfSettings(t *testing.T) {
	t.Parallel()
	config := func(pairs ...any) map[string]any {
		all := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1]
		}
		return all
	}
	m := twoClusters()
	m.Topology.Spec.Istio.Values = map[string]any{"replicaCount": 2, "meshConfig": config("accessLogFile", "v", "a", "v", "b", "v", "c", "v", "list", []any{"v", "v"})}
	m.Topology.Spec.Istio.MeshConfig = config("a", "m", "b", "m", "c", "m")
	m.Topology.Spec.Clusters[0].Istio = topology.ClusterIstio{Values: map[string]any{"meshConfig": config("b", "cv", "c", "cv", "list", []any{"cv"})}, MeshConfig: config("c", "cm")}
	values := Istiod{m}.Values(m.Topology.Cluster("west"))
	got := values["meshConfig"].(map[string]any)
	for key, want := range map[string]any{"accessLogFile": "v", "a": "m", "b": "cv", "c": "cm", "trustDomain": "cluster.local", "list": []any{"cv"}} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	if values["replicaCount"] != 2 {
		t.Errorf("replicaCount is %v", values["replicaCount"])
	}
	if east := (Istiod{m}).Values(m.Topology.Cluster("east"))["meshConfig"].(map[string]any); east["b"] != "m" || east["c"] != "m" {
		t.Errorf("east has what west says: %v", east)
	}
}

func TestServiceSettings(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	m.Topology.Spec.Verify.Probe.Namespace = "meshfed-verify"
	for name, hosts := range map[string][]string{
		"one": {"checkout.shop.svc.cluster.local", "*.cache.svc.cluster.local"},
		// The probes are spared, else nothing could be proven.
		"all": {"*.svc.cluster.local"},
	} {
		m.Topology.Spec.Istio.ClusterLocal = hosts
		golden.Check(t, "testdata/service-settings-"+name+".yaml", asYAML(t, map[string]any{"serviceSettings": Istiod{m}.serviceSettings()}))
	}
}

// Each profile that may be named is one that the charts carry, and our own settings win over it.
func TestProfilesRender(t *testing.T) {
	t.Parallel()
	for _, profile := range topology.Profiles() {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := twoClusters()
			m.Topology.Spec.Istio.Profile = profile
			all := releases(t, m, "west")
			mesh := asYAML(t, object(t, render(t, all["istiod"]), "ConfigMap", "istio").Object)
			render(t, all["base"])
			if !strings.Contains(string(mesh), "PROXY_CONFIG_XDS_AGENT") {
				t.Error("our own settings are lost")
			}
			if got := strings.Contains(string(mesh), "ISTIO_META_DNS_CAPTURE"); got != (profile == "preview") {
				t.Errorf("DNS capture: %v", got)
			}
		})
	}
}
