// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/golden"
)

// TestStarter: what init writes loads without a warning, as the schema says, also when its
// comments are taken for what they say.
func TestStarter(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, name := range []string{"usmesh", "a", "5", "1e3", "null", "true", "no", "us-mesh-1"} {
		for _, kubernetes := range []string{"", "1.36.3"} {
			text := Starter(name, kubernetes)
			loaded, err := Parse("meshfed.yaml", text)
			if err != nil {
				t.Errorf("%s, %s: %v", name, kubernetes, err)
				continue
			}
			if err := validates(t, s, text); err != nil {
				t.Errorf("%s, %s: %v", name, kubernetes, err)
			}
			if loaded.Metadata.Name != name || len(loaded.Warnings) > 0 || strings.Join(loaded.Names(), " ") != "west east" {
				t.Errorf("%s: the name is %q, the clusters %v, the warnings %v", name, loaded.Metadata.Name, loaded.Names(), loaded.Warnings)
			}
			for _, c := range loaded.Spec.Clusters {
				if c.Provider.Kind.Kubernetes != kubernetes || !c.Ingress.HostPorts.Any {
					t.Errorf("%s: %+v", c.Name, c)
				}
			}
		}
	}
	text := Starter("usmesh", "")
	golden.Check(t, "testdata/starter.golden", text)
	if first, _, _ := strings.Cut(string(text), "\n"); first != "# yaml-language-server: $schema=./"+SchemaFile {
		t.Errorf("the first line is %q", first)
	}
	for _, line := range []string{"provider: {kind: {nodes: ", "images: {mirror: "} {
		switched := strings.Replace(string(text), "# "+line, line, 1)
		if _, err := Parse("meshfed.yaml", []byte(switched)); err != nil || switched == string(text) {
			t.Errorf("without its #, %s gives %v", line, err)
		}
	}
	if _, err := Parse("meshfed.yaml", Starter("Not a name", "1.0")); err == nil {
		t.Error("a wrong name is accepted")
	}
}
