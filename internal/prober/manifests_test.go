// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/topology"
)

func example(t *testing.T, name string) *topology.Topology {
	t.Helper()
	top, err := topology.Load(filepath.Join("..", "..", "examples", name, "topology.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// parts are the objects of a manifest by kind.
func parts(t *testing.T, manifest []byte) map[string][]map[string]any {
	t.Helper()
	found := map[string][]map[string]any{}
	for _, part := range bytes.Split(manifest, []byte("\n---\n")) {
		var o map[string]any
		if err := yaml.Unmarshal(part, &o); err != nil {
			t.Fatal(err)
		}
		kind, _ := o["kind"].(string)
		found[kind] = append(found[kind], o)
	}
	return found
}

func TestManifest(t *testing.T) {
	t.Parallel()
	data, err := Manifest(example(t, "two-clusters"), "west", "ghcr.io/meshfed/probe:0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/west.golden.yaml", data)
	found := parts(t, data)
	// Local rights only: none on the API, and no token to use any with.
	for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"} {
		if len(found[kind]) > 0 {
			t.Errorf("there is a %s", kind)
		}
	}
	if strings.Contains(string(data), "automountServiceAccountToken: true") || strings.Count(string(data), "automountServiceAccountToken: false") != 2 {
		t.Error("a token is mounted")
	}
	if len(found["Service"]) != 2 || len(found["Deployment"]) != 1 || len(found["ServiceAccount"]) != 1 {
		t.Errorf("%d Services, %d Deployments, %d accounts", len(found["Service"]), len(found["Deployment"]), len(found["ServiceAccount"]))
	}
}

// TestManifestsOfShapes: who is asked follows from who knows whom, rules stand where istiod reads
// them, and an external control plane has no prober.
func TestManifestsOfShapes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string][]string{ // peers by cluster
		"three-networks":         {"west": {"central", "east"}},
		"primary-remote":         nil,
		"external-control-plane": nil,
		"istio-settings":         nil,
	} {
		top := example(t, name)
		files, err := Files(top, "p")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range top.Names() {
			data, ok := files[c+".yaml"]
			if ok != slices.Contains(top.Members(), c) {
				t.Errorf("%s: a manifest for %s: %v", name, c, ok)
			}
			if !ok {
				continue
			}
			found := parts(t, data)
			if rules := len(found["PeerAuthentication"]) == 1; rules != (top.Cluster(c).Config == c) {
				t.Errorf("%s: rules in %s: %v", name, c, rules)
			}
			if got := Peers(top, c); want[c] != nil && !slices.Equal(slices.Sorted(slices.Values(got)), want[c]) {
				t.Errorf("%s: %s asks %v", name, c, got)
			}
			key, value := top.Injection()
			labels := found["Namespace"][0]["metadata"].(map[string]any)["labels"].(map[string]any)
			if labels[key] != value {
				t.Errorf("%s: the namespace has %v", name, labels)
			}
		}
	}
}

// TestNoClusterTakesAFileOfAnother: the alert rules are there whatever clusters are called.
func TestNoClusterTakesAFileOfAnother(t *testing.T) {
	t.Parallel()
	top := example(t, "two-clusters")
	top.Spec.Clusters[0].Name, top.Spec.Clusters[0].Primary, top.Spec.Clusters[0].Config = "rules", "rules", "rules"
	files, err := Files(top, "probe:1")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4+len(top.Members()) || !slices.ContainsFunc(slices.Collect(maps.Values(files)), func(data []byte) bool { return bytes.Equal(data, Rules) }) {
		t.Errorf("%v", slices.Sorted(maps.Keys(files)))
	}
}
