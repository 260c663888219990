// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	key := func(s string) step { return step{key: s} }
	index := func(text string, n int) step { return step{key: text, index: n, kind: byIndex} }
	item := func(s string) step { return step{key: s, kind: byName} }
	for text, want := range map[string][]step{
		"spec":                       {key("spec")},
		"spec.mesh.mtls":             {key("spec"), key("mesh"), key("mtls")},
		"spec.clusters[0]":           {key("spec"), key("clusters"), index("0", 0)},
		"spec.clusters[12].name":     {key("spec"), key("clusters"), index("12", 12), key("name")},
		"spec.clusters[west].name":   {key("spec"), key("clusters"), item("west"), key("name")},
		"a[0][1]":                    {key("a"), index("0", 0), index("1", 1)},
		`a["b.c/d"]`:                 {key("a"), key("b.c/d")},
		`a["b.c/d"].e`:               {key("a"), key("b.c/d"), key("e")},
		`a["b\"]c"]`:                 {key("a"), key(`b"]c`)},
		`["a b"].c`:                  {key("a b"), key("c")},
		"a-b_c.9":                    {key("a-b_c"), key("9")},
		"spec.clusters[us-west-1].x": {key("spec"), key("clusters"), item("us-west-1"), key("x")},
	} {
		got, err := parsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"", ".", "a.", ".a", "a..b", "a[", "a[]", "a[0", "a[0]b", `a["b`, `a["b"`, `a["b"x`, `a"b`, "a b", "a\n", "a]", "a.[0]"} {
		if got, err := parsePath(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

// TestSetIsLaidOverTheFile: what the argument says wins over what the file says or lacks.
func TestSetIsLaidOverTheFile(t *testing.T) {
	t.Parallel()
	file := header + `spec:
  mesh: {mtls: Strict}
  istio: {values: {pilot: {replicaCount: 2, env: {A: b}}}}
  clusters:
  - {name: west, network: blue}
  - {name: east}
  verify: {failover: {rate: 5}}
`
	for name, test := range map[string]struct {
		set  []string
		look func(*Topology) any
		want any
	}{
		"replaces a value":     {[]string{"spec.mesh.mtls=Permissive"}, func(t *Topology) any { return t.Spec.Mesh.MTLS }, "Permissive"},
		"adds a field":         {[]string{"spec.mesh.id=other"}, func(t *Topology) any { return t.Spec.Mesh.ID }, "other"},
		"adds mappings":        {[]string{"spec.verify.probe.namespace=probes"}, func(t *Topology) any { return t.Spec.Verify.Probe.Namespace }, "probes"},
		"keeps its neighbours": {[]string{"spec.verify.failover.lostAtMost=1"}, func(t *Topology) any { return t.Spec.Verify.Failover.Rate }, 5},
		"an item by index":     {[]string{"spec.clusters[1].network=red"}, func(t *Topology) any { return t.Spec.Clusters[1].Network }, "red"},
		"an item by name":      {[]string{"spec.clusters[east].network=red"}, func(t *Topology) any { return t.Spec.Clusters[1].Network }, "red"},
		"a whole item":         {[]string{"spec.clusters[0]={name: north}"}, func(t *Topology) any { return t.Names() }, []string{"north", "east"}},
		"a whole list":         {[]string{"spec.clusters=[{name: a}, {name: b}]"}, func(t *Topology) any { return t.Names() }, []string{"a", "b"}},
		"empties a mapping":    {[]string{"spec.istio={}"}, func(t *Topology) any { return t.Spec.Istio.Values }, map[string]any(nil)},
		"inside values": {[]string{"spec.istio.values.pilot.env.A=c"}, func(t *Topology) any { return t.Spec.Istio.Values["pilot"] },
			map[string]any{"replicaCount": int64(2), "env": map[string]any{"A": "c"}}},
		"values keep types": {[]string{"spec.istio.values.a=[1, 1.5, true, x, \"2\"]"}, func(t *Topology) any { return t.Spec.Istio.Values["a"] },
			[]any{int64(1), 1.5, true, "x", "2"}},
		"a quoted key": {[]string{`spec.clusters[0].eastWest.service.annotations["example.com/a"]=b`}, func(t *Topology) any { return t.Spec.Clusters[0].EastWest.Service.Annotations },
			map[string]string{"example.com/a": "b"}},
		"a number as string":  {[]string{"spec.clusters[0].network=1.10"}, func(t *Topology) any { return t.Spec.Clusters[0].Network }, "1.10"},
		"a boolean as string": {[]string{"spec.mesh.id=true"}, func(t *Topology) any { return t.Spec.Mesh.ID }, "true"},
		"a date as string":    {[]string{"spec.mesh.id=2026-01-01"}, func(t *Topology) any { return t.Spec.Mesh.ID }, "2026-01-01"},
		"quotes are removed":  {[]string{`spec.mesh.id="x"`}, func(t *Topology) any { return t.Spec.Mesh.ID }, "x"},
		"an equals sign":      {[]string{"spec.verify.probe.image=a=b"}, func(t *Topology) any { return t.Spec.Verify.Probe.Image }, "a=b"},
		"nothing is empty":    {[]string{"spec.clusters[0].network="}, func(t *Topology) any { return t.Spec.Clusters[0].Network }, "west-network"},
		"a comment is a text": {[]string{"spec.verify.probe.image=#a"}, func(t *Topology) any { return t.Spec.Verify.Probe.Image }, "#a"},
		"several": {[]string{"spec.mesh.id=a", "spec.mesh.trustDomain=b"}, func(t *Topology) any { return t.Spec.Mesh },
			Mesh{ID: "a", TrustDomain: "b", MTLS: "Strict"}},
		"one after the other": {[]string{"spec.clusters[0]={name: north}", "spec.clusters[north].network=red"}, func(t *Topology) any { return t.Spec.Clusters[0].Network }, "red"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topology, err := Parse("t.yaml", []byte(file), test.set...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, test.look(topology)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestSetMendsTheFile: a mistake that an argument replaces is no mistake any more.
func TestSetMendsTheFile(t *testing.T) {
	t.Parallel()
	broken := header + "spec: {mesh: {mtls: Never, id: ~}, clusters: [{name: WEST}]}\n"
	if _, err := Parse("t.yaml", []byte(broken), "spec.mesh.mtls=Strict", "spec.mesh.id=a", "spec.clusters[0].name=west"); err != nil {
		t.Errorf("after mending: %v", err)
	}
	_, err := Parse("t.yaml", []byte(broken), "spec.mesh.mtls=Strict")
	if err == nil || strings.Contains(err.Error(), "mtls") || !strings.Contains(err.Error(), "WEST") {
		t.Errorf("after mending one of three: %v", err)
	}
}

// TestSetDoesNotChangeItsInput guards against nodes or bytes that are shared between calls.
func TestSetDoesNotChangeItsInput(t *testing.T) {
	t.Parallel()
	data := []byte(two)
	before := string(data)
	with, err := Parse("t.yaml", data, "spec.clusters[0].network=red")
	if err != nil {
		t.Fatal(err)
	}
	without, err := Parse("t.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != before || with.Spec.Clusters[0].Network != "red" || without.Spec.Clusters[0].Network != "west-network" {
		t.Errorf("with: %s, without: %s, data changed: %v", with.Spec.Clusters[0].Network, without.Spec.Clusters[0].Network, string(data) != before)
	}
}
