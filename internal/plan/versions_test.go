// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/topology"
)

// planes are istiods of the default revision, by cluster.
func planes(west, east string) map[string][]install.ControlPlane {
	all := map[string][]install.ControlPlane{}
	for cluster, version := range map[string]string{"west": west, "east": east} {
		if version != "" {
			all[cluster] = []install.ControlPlane{{Name: "istiod", Revision: "default", Version: version}}
		}
	}
	return all
}

// A file without a version keeps what runs, and says so when it can not.
func TestVersionIsKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		says, west, east string
		charts           topology.Charts
		want, err        string
	}{
		"nothing runs":             {"", "", "", topology.Charts{}, topology.IstioVersion, ""},
		"what is built in":         {"", "1.31.0", "1.31.0", topology.Charts{}, "1.31.0", ""},
		"a later patch":            {"", "1.31.7", "", topology.Charts{}, "1.31.7", ""},
		"the file wins":            {"1.31.0", "1.31.7", "1.31.7", topology.Charts{}, "1.31.0", ""},
		"two versions":             {"", "1.31.2", "1.31.10", topology.Charts{}, "", "west runs Istio 1.31.2 and east runs 1.31.10, and the file names no version"},
		"another minor":            {"", "1.30.2", "", topology.Charts{}, "", "west runs Istio 1.30.2, which the file does not name, and the charts that are built in are those of 1.31.0"},
		"another minor and charts": {"", "1.30.2", "", topology.Charts{Repository: "oci://registry.example/charts"}, "1.30.2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, "../../examples/two-clusters/topology.yaml")
			m.Topology.Spec.Istio.Version, m.Topology.Spec.Istio.Charts = tc.says, tc.charts
			err := m.keepVersion(planes(tc.west, tc.east))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error: %v", err)
				}
				return
			}
			if got := m.Topology.IstioRelease(); err != nil || got != tc.want {
				t.Errorf("%s, error %v; want %s", got, err, tc.want)
			}
		})
	}
	if got := newer("1.31.2", "1.31.10"); got != "1.31.10" {
		t.Errorf("newer: %s", got)
	}
}

// A cluster that --clusters leaves out may be one minor version apart, and no more; one that is
// worked on may not.
func TestControlPlanesGoTogether(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		only          string
		runs          install.ControlPlane
		err, warnings string
	}{
		"same":                  {"", install.ControlPlane{Name: "istiod", Revision: "default", Version: "1.31.9"}, "", ""},
		"older, worked on":      {"", install.ControlPlane{Name: "istiod", Revision: "default", Version: "1.30.9"}, "up never changes a minor version", ""},
		"older, left out":       {"west", install.ControlPlane{Name: "istiod", Revision: "default", Version: "1.30.9"}, "", "istiod is Istio 1.30.9, and the file says 1.31.0"},
		"too old":               {"west", install.ControlPlane{Name: "istiod", Revision: "default", Version: "1.29.9"}, "may be 1 minor version apart", ""},
		"too new":               {"west", install.ControlPlane{Name: "istiod", Revision: "default", Version: "1.33.0"}, "may be 1 minor version apart", ""},
		"another's beside ours": {"", install.ControlPlane{Name: "istiod-old", Revision: "old", Version: "1.29.9"}, "may be 1 minor version apart", ""},
		"one that says nothing": {"west", install.ControlPlane{Name: "istiod", Revision: "default"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, "../../examples/two-clusters/topology.yaml")
			m.Topology.Spec.Istio.Version = "1.31.0"
			if tc.only != "" {
				m.Clusters = []string{tc.only}
			}
			warnings, err := m.goesWith("east", []install.ControlPlane{tc.runs})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error: %v", err)
			}
			if got := strings.Join(warnings, "\n"); !strings.Contains(got, tc.warnings) || tc.warnings == "" && got != "" {
				t.Errorf("warnings: %s", got)
			}
		})
	}
}

func TestKubernetesFits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ istio, kubernetes, refused, warning string }{
		{"1.31.0", "v1.32.0", "", ""},
		{"1.31.0", "v1.36.3", "", ""},
		{"1.31.0", "v1.31.9", "Istio 1.31.0 supports Kubernetes 1.32 to 1.36, and this is v1.31.9", ""},
		{"1.31.0", "v1.37.1", "", "Istio 1.31.0 supports Kubernetes 1.32 to 1.36, and this is v1.37.1"},
		{"1.28.4", "v1.30.14-gke.100", "", ""},
		{"1.99.0", "v1.30.0", "", ""},
		{"1.31.0", "unknown", "", ""},
	} {
		refused, warning := topology.KubernetesFits(tc.istio, tc.kubernetes)
		if refused != tc.refused || warning != tc.warning {
			t.Errorf("Istio %s on %s: refused %q, warning %q", tc.istio, tc.kubernetes, refused, warning)
		}
	}
}

func TestProxiesFit(t *testing.T) {
	t.Parallel()
	pod := func(image string, native bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		proxy := corev1.Container{Name: "istio-proxy", Image: image}
		if p.Spec.Containers = []corev1.Container{{Name: "app", Image: "app:1.2.3"}}; native {
			p.Spec.InitContainers = append(p.Spec.InitContainers, proxy)
		} else {
			p.Spec.Containers = append(p.Spec.Containers, proxy)
		}
		return p
	}
	for image, wrong := range map[string]bool{
		"docker.io/istio/proxyv2:1.31.0":                   false,
		"registry.example:5000/istio/proxyv2:1.30.2":       false,
		"docker.io/istio/proxyv2:1.29.2-distroless":        true,
		"docker.io/istio/proxyv2:1.32.0@sha256:0123456789": true,
		"docker.io/istio/proxyv2@sha256:0123456789":        false,
		"registry.example:5000/proxy":                      false,
		"docker.io/istio/proxyv2:mine":                     false,
	} {
		for _, native := range []bool{false, true} {
			got := proxiesFit("1.31.0", []corev1.Pod{pod(image, native)})
			if wrong != strings.Contains(got, "1 proxies do not go with istiod 1.31.0") || !wrong && got != "" {
				t.Errorf("%s (native %v): %q", image, native, got)
			}
		}
	}
}
