// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/golden"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	r := call(t, "validate", "-f", example)
	if want := example + ": topology usmesh, 2 clusters, is valid\n"; r != (result{0, want, ""}) {
		t.Errorf("%+v", r)
	}
	r = call(t, "validate", "-f", example, "-o", "json", "--set", "metadata.name=other", "--set", "spec.clusters[1].locality.zone=z1")
	var object struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Clusters []struct {
				Name, Network string
				Locality      struct{ Zone string }
			}
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &object); err != nil || r.code != 0 || r.err != "" {
		t.Fatalf("%v: %+v", err, r)
	}
	if object.Kind != "Topology" || object.Metadata.Name != "other" || object.Spec.Clusters[1].Locality.Zone != "z1" ||
		object.Spec.Clusters[0].Network != "west-network" {
		t.Errorf("defaults and --set are not in it: %+v", object)
	}
}

// TestWrongFiles: everything that is wrong, at once, each with place, path and what to write.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		set  []string
	}{
		"unknown-keys": {text: strings.Replace(least, "spec: {", "spec: {mehs: {id: a}, ", 1) + "extra: 1\n"},
		"null":         {text: strings.Replace(least, "name: demo", "name: null", 1)},
		"duplicate":    {text: strings.Replace(least, "{name: east}", "{name: west}", 1) + "kind: Topology\n"},
		"overlap": {text: strings.Replace(least, "[{name: west}, {name: east}]",
			"[{name: west, provider: {kind: {podSubnet: 10.1.0.0/16, serviceSubnet: 10.1.128.0/24}}}, {name: east}]", 1)},
		"not-built": {text: strings.Replace(least, "{name: east}", "{name: east, provider: {clusterAPI: {name: east}}, addons: [Kiali]}", 1)},
		"same-port": {text: strings.Replace(least, "[{name: west}, {name: east}]",
			"[{name: west, ingress: {hostPorts: {http: 30000}}}, {name: east, ingress: {hostPorts: {http: 30000}}}]", 1)},
		"set":      {text: least, set: []string{"spec.mesh.mtls=Off", "spec.nosuch=1", "nonsense"}},
		"not-yaml": {text: "a: [\n"},
		"empty":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, test.text)
			for _, verb := range []string{"validate", "plan", "up", "status", "down"} {
				args := []string{verb, "-f", path}
				for _, s := range test.set {
					args = append(args, "--set", s)
				}
				r := call(t, args...)
				r.refused(t, wrong, "error: ")
				golden.Check(t, "testdata/wrong/"+name+".txt", strings.ReplaceAll(r.err, path, "topology.yaml"))
				if object := asJSON(t, wrong, append(args, "-o", "json")...); !strings.Contains(r.err, strings.Split(object.Message, "\n")[0]) {
					t.Errorf("JSON and table differ: %q and %q", object.Message, r.err)
				}
			}
		})
	}
}
