// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/topology"
)

// releases are all that is installed of Istio in one cluster.
func releases(t *testing.T, m Mesh, cluster string) map[string]Release {
	t.Helper()
	c := named(cluster)
	ingress, _, err := IngressGateway{m}.gateway(c)
	if err != nil {
		t.Fatal(err)
	}
	eastWest, _, err := EastWestGateway{m}.gateway(c)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Release{
		"base":     must(IstioBase{m}.Release(c))(t),
		"istiod":   must(Istiod{m}.Release(c))(t),
		"ingress":  must(ingress.release())(t),
		"eastwest": must(eastWest.release())(t),
	}
}

func TestNothingRenderedComesFromADevelopmentBuild(t *testing.T) {
	t.Parallel()
	// The charts in Istio's source say version 1.0.0, hub .../testing, tag latest.
	bad := regexp.MustCompile(`/testing\b|:latest\b|"?tag"?: *"?latest|-1\.0\.0\b|version: "?1\.0\.0"?\s*$`)
	for name, release := range releases(t, twoClusters(), "west") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifest := render(t, release)
			for _, line := range strings.Split(manifest, "\n") {
				if bad.MatchString(line) {
					t.Errorf("rendered: %s", strings.TrimSpace(line))
				}
			}
			if !strings.Contains(manifest, topology.IstioVersion) {
				t.Errorf("Istio %s is not mentioned", topology.IstioVersion)
			}
		})
	}
}

func TestEveryObjectCarriesOurLabels(t *testing.T) {
	t.Parallel()
	for name, release := range releases(t, twoClusters(), "west") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, u := range objects(t, render(t, release)) {
				labels := u.GetLabels()
				if labels[topology.LabelTopology] != "usmesh" || labels[topology.LabelOwner] != "0123456789abcdef" {
					t.Errorf("%s %s has labels %v", u.GetKind(), u.GetName(), labels)
				}
				pod, _, _ := unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels")
				if pod[topology.LabelOwner] != "" {
					t.Errorf("pods of %s %s carry the owner: another owner would restart them", u.GetKind(), u.GetName())
				}
				if u.GetKind() == "CustomResourceDefinition" && u.GetAnnotations()[keepPolicy] != "keep" {
					t.Errorf("definition %s would go with its release, and all its objects with it", u.GetName())
				}
			}
		})
	}
}

func TestIstiodValues(t *testing.T) {
	t.Parallel()
	plain := twoClusters()
	upstream := twoClusters()
	upstream.Settings.UpstreamEnvoy = true
	users := twoClusters()
	users.Topology.Spec.Istio = topology.Istio{
		Profile: "demo", Revision: "blue", Tag: "stable", DNSProxying: true, ClusterLocal: []string{"*.cache.svc.cluster.local"},
		Values:     map[string]any{"env": map[string]any{"PILOT_TRACE_SAMPLING": "1"}, "replicaCount": 2},
		MeshConfig: map[string]any{"accessLogFile": "", "outboundTrafficPolicy": map[string]any{"mode": "REGISTRY_ONLY"}},
	}
	users.Topology.Spec.Images = topology.Images{Mirror: "mirror.example/cache", PullSecret: "pull"}
	users.Topology.Spec.Clusters[0].Istio.Values = map[string]any{"replicaCount": 3}
	users.Topology.Spec.Clusters[0].Istio.MeshConfig = map[string]any{"accessLogFile": "/dev/stderr"}
	existing := twoClusters()
	existing.Topology.Spec.Clusters[0].Provider = topology.Provider{Kubeconfig: &topology.KubeconfigProvider{}}

	for name, m := range map[string]Mesh{"plain": plain, "upstream": upstream, "users": users, "existing": existing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Check(t, "testdata/istiod-values-"+name+".yaml", asYAML(t, Istiod{m}.Values(m.Topology.Cluster("west"))))
		})
	}
}

// The mesh configuration is what istiod acts on: the chart merges it from several values.
func TestIstiodMeshConfig(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	m.Settings.UpstreamEnvoy = true
	manifest := render(t, must(Istiod{m}.Release(named("west")))(t))
	mesh, _, _ := unstructured.NestedString(object(t, manifest, "ConfigMap", "istio").Object, "data", "mesh")
	golden.Check(t, "testdata/istiod-mesh.yaml", mesh)
	deployment := object(t, manifest, "Deployment", "istiod")
	golden.Check(t, "testdata/istiod-deployment.yaml", asYAML(t, deployment.Object))
}

func TestGatewayManifests(t *testing.T) {
	t.Parallel()
	all := releases(t, twoClusters(), "west")
	for _, name := range []string{"ingress", "eastwest"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden.Check(t, "testdata/gateway-"+name+".yaml", render(t, all[name]))
		})
	}
}

func TestEastWestGatewayOpensOnlyWhatOtherNetworksNeed(t *testing.T) {
	t.Parallel()
	manifest := render(t, releases(t, twoClusters(), "west")["eastwest"])
	service := object(t, manifest, "Service", topology.EastWestGateway)
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	var numbers []int64
	for _, each := range ports {
		numbers = append(numbers, each.(map[string]any)["port"].(int64))
	}
	if diff := cmp.Diff([]int64{15021, 15443}, numbers); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestGatewayWithSeveralReplicasAndNoLoadBalancer(t *testing.T) {
	t.Parallel()
	m := twoClusters()
	west := m.Topology.Cluster("west")
	west.EastWest.Replicas = 3
	west.EastWest.Service = topology.EastWestService{Type: "NodePort", Annotations: map[string]string{"a": "b"}}
	west.EastWest.Values = map[string]any{"minReadySeconds": 5}
	manifest := render(t, releases(t, m, "west")["eastwest"])
	deployment := object(t, manifest, "Deployment", topology.EastWestGateway)
	if n, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); n != 3 {
		t.Errorf("replicas: %d", n)
	}
	if n, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "minReadySeconds"); n != 5 {
		t.Errorf("eastWest.values are not laid over: minReadySeconds is %d", n)
	}
	service := object(t, manifest, "Service", topology.EastWestGateway)
	if kind, _, _ := unstructured.NestedString(service.Object, "spec", "type"); kind != "NodePort" {
		t.Errorf("type: %s", kind)
	}
	if service.GetAnnotations()["a"] != "b" {
		t.Errorf("annotations: %v", service.GetAnnotations())
	}
}

func TestIngressPorts(t *testing.T) {
	t.Parallel()
	cluster := &topology.Cluster{}
	if got := IngressPorts(cluster); got != nil {
		t.Errorf("without an ingress gateway: %v", got)
	}
	cluster.Ingress = &topology.Ingress{}
	if got := IngressPorts(cluster); got != nil {
		t.Errorf("without host ports: %v", got)
	}
	cluster.Ingress.HostPorts = topology.HostPorts{HTTP: 30000, HTTPS: 30443}
	want := []topology.Port{{Host: 30000, Node: 32080}, {Host: 30443, Node: 32443}}
	if diff := cmp.Diff(want, IngressPorts(cluster)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
