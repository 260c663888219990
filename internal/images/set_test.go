// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/meshfed/meshfed/topology"
)

func mesh(kubernetes ...string) *topology.Topology {
	t := &topology.Topology{}
	for _, k := range kubernetes {
		t.Spec.Clusters = append(t.Spec.Clusters, topology.Cluster{Provider: topology.Provider{Kind: &topology.KindProvider{Kubernetes: k}}})
	}
	return t
}

func TestPublishedNames(t *testing.T) {
	t.Parallel()
	plain := mesh()
	plain.Spec.Istio.Version = "1.31.0"
	mirrored := mesh()
	mirrored.Spec.Images.Mirror = "http://registry.example:5000/cache/"
	mirrored.Spec.Verify.Probe.Image = "other.example/probe:7"
	cases := []struct {
		name, kubernetes string
		topology         *topology.Topology
		want             []string
	}{
		{"default", "", plain, []string{
			"docker.io/kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
			"docker.io/istio/pilot:1.31.0", "docker.io/istio/proxyv2:1.31.0",
			"quay.io/metallb/controller:v0.15.2", "quay.io/metallb/speaker:v0.15.2", Probe(),
		}},
		{"a version without a known digest", "1.36.3", plain, []string{
			"docker.io/kindest/node:v1.36.3",
			"docker.io/istio/pilot:1.31.0", "docker.io/istio/proxyv2:1.31.0",
			"quay.io/metallb/controller:v0.15.2", "quay.io/metallb/speaker:v0.15.2", Probe(),
		}},
		{"mirror", "1.36.4", mirrored, []string{
			"registry.example:5000/cache/kindest/node:v1.36.4",
			"registry.example:5000/cache/istio/pilot:" + topology.IstioVersion, "registry.example:5000/cache/istio/proxyv2:" + topology.IstioVersion,
			"registry.example:5000/cache/metallb/controller:v0.15.2", "registry.example:5000/cache/metallb/speaker:v0.15.2", "other.example/probe:7",
		}},
		{"a reference is never changed", "mine.example/node:1", mirrored, []string{
			"mine.example/node:1",
			"registry.example:5000/cache/istio/pilot:" + topology.IstioVersion, "registry.example:5000/cache/istio/proxyv2:" + topology.IstioVersion,
			"registry.example:5000/cache/metallb/controller:v0.15.2", "registry.example:5000/cache/metallb/speaker:v0.15.2", "other.example/probe:7",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Published(c.topology, c.kubernetes).List()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, image := range got {
				if _, err := name.ParseReference(image); err != nil {
					t.Errorf("%s is no image's name: %v", image, err)
				}
			}
		})
	}
}

func TestEveryNodeImageOnce(t *testing.T) {
	t.Parallel()
	two := mesh("1.36.4", "", "v1.36.4", "1.35.8")
	two.Spec.Clusters = append(two.Spec.Clusters, topology.Cluster{Provider: topology.Provider{Kubeconfig: &topology.KubeconfigProvider{}}})
	var nodes []string
	for _, image := range All(two) {
		if strings.Contains(image, "kindest/node") {
			nodes = append(nodes, image[:strings.Index(image, "@")])
		}
	}
	if diff := cmp.Diff([]string{"docker.io/kindest/node:v1.36.4", "docker.io/kindest/node:v1.35.8"}, nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := All(two); len(got) != 7 {
		t.Errorf("%d images: %v", len(got), got)
	}
}

// The table of digests belongs to one release of kind: a new one must bring a new table.
func TestDigestsAreThoseOfTheKindThatIsCompiledIn(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`^kindest/node:v([^@]+)@(.+)$`).FindStringSubmatch(defaults.Image)
	if found == nil || nodeDigests()[found[1]] != found[2] {
		t.Errorf("kind's default is %s, the table has %q", defaults.Image, nodeDigests())
	}
	if nodeDigests()[Kubernetes] == "" {
		t.Errorf("the default %s has no digest", Kubernetes)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"docker.io/istio/pilot:1": "istio/pilot:1", "istio/pilot:1": "istio/pilot:1", "localhost/meshfed/probe:1": "meshfed/probe:1",
		"127.0.0.1:5000/a/b@sha256:00": "a/b@sha256:00", "busybox": "busybox",
	} {
		if got := Path(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
	if got := On("m:1/x", "docker.io/kindest/node:v1@sha256:00"); got != "m:1/x/kindest/node:v1" {
		t.Errorf("on a mirror: %s", got)
	}
}
