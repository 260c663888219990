// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"log/slog"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// twoClusters is the mesh that most tests are about.
func twoClusters() Mesh {
	cluster := func(name string, http int) topology.Cluster {
		return topology.Cluster{
			Name: name, Primary: name, Config: name, Network: name + "-network",
			Provider:     topology.Provider{Kind: &topology.KindProvider{}},
			LoadBalancer: topology.LoadBalancer{Type: "MetalLB"},
			Ingress:      &topology.Ingress{HostPorts: topology.HostPorts{HTTP: http}},
			EastWest:     topology.EastWest{Replicas: 1, Service: topology.EastWestService{Type: "LoadBalancer"}},
			Manage:       topology.Manage{Istio: true, Gateways: true, CACerts: true, RemoteSecrets: true},
		}
	}
	t := &topology.Topology{Metadata: topology.Metadata{Name: "usmesh"}}
	t.Spec.Mesh = topology.Mesh{ID: "usmesh", TrustDomain: "cluster.local"}
	t.Spec.Clusters = []topology.Cluster{cluster("west", 30000), cluster("east", 30001)}
	return Mesh{Topology: t, Owner: "0123456789abcdef"}
}

// named is enough of a client where only its name is asked for.
func named(cluster string) *kube.Client { return &kube.Client{Cluster: cluster} }

// must unwraps what can not fail in a test.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// render renders a release as an installation would, without a cluster.
func render(t *testing.T, r Release) string {
	t.Helper()
	cfg := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	install := r.install(cfg, nil)
	install.DryRunStrategy = action.DryRunClient
	chart, err := r.Chart.Load()
	if err != nil {
		t.Fatal(err)
	}
	values, err := clone(r.Values)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := install.Run(chart, values)
	if err != nil {
		t.Fatal(err)
	}
	return rendered.(*helmrelease.Release).Manifest
}

func objects(t *testing.T, manifest string) []*unstructured.Unstructured {
	t.Helper()
	found, err := decode(strings.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func object(t *testing.T, manifest, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, u := range objects(t, manifest) {
		if u.GetKind() == kind && u.GetName() == name {
			return u
		}
	}
	t.Fatalf("no %s %s is rendered", kind, name)
	return nil
}

func asYAML(t *testing.T, v any) []byte {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
