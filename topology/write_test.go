// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFileIsLoadedAsItWas: what is loaded, written without defaults and loaded again is the same.
func TestFileIsLoadedAsItWas(t *testing.T) {
	t.Parallel()
	for _, file := range append(globOf(t, "testdata/good/*.yaml"), globOf(t, "../examples/*/topology.yaml")...) {
		loaded, err := Load(file, setsOf(t, file)...)
		if err != nil {
			t.Fatal(err)
		}
		text, err := loaded.File("written by a test\nin two lines")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(file, text)
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, text)
			continue
		}
		if diff := cmp.Diff(asJSON(t, loaded), asJSON(t, again)); diff != "" {
			t.Errorf("%s: changed by writing (-before +after):\n%s\n%s", file, diff, text)
		}
	}
}

func TestFileSaysOnlyWhatIsNotTheDefault(t *testing.T) {
	t.Parallel()
	made := New("on")
	west, east := NewCluster("west"), NewCluster("1e3")
	west.Provider.Kind = &KindProvider{PodSubnet: "10.10.0.0/16"}
	west.Network, west.Ingress = "blue", &Ingress{}
	west.EastWest.Addresses = []string{"203.0.113.7"}
	east.Provider.Kubeconfig = &KubeconfigProvider{Path: "~/.kube/config", Context: "east", Adopt: true}
	east.Manage.CACerts = false
	made.Spec.Clusters = []Cluster{west, east}
	made.Spec.Istio.Values = map[string]any{"pilot": map[string]any{"replicaCount": int64(2)}}
	made.Spec.Namespaces = []Namespace{{Name: "shop", Inject: true}}
	text, err := made.File("Two lines\nof comment")
	if err != nil {
		t.Fatal(err)
	}
	want := `# Two lines
# of comment
apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata:
  name: on
spec:
  istio:
    values: {pilot: {replicaCount: 2}}
  credentials:
    lifetime: 720h
    refresh: Manual
  namespaces:
  - name: shop
    inject: true
  clusters:
  - name: west
    provider: {kind: {podSubnet: 10.10.0.0/16}}
    network: blue
    ingress: {}
    eastWest: {addresses: [203.0.113.7]}
  - name: "1e3"
    provider: {kubeconfig: {path: ~/.kube/config, context: east, adopt: true}}
    manage: {cacerts: false}
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(string(text), "MetalLB") {
		t.Error("a default is said")
	}
}
