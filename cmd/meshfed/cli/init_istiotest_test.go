// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strings"
	"testing"
)

// TestInitFromIstioTest: what has a counterpart is written, the rest is told, and the file is
// valid; from a file and through a pipe.
func TestInitFromIstioTest(t *testing.T) {
	t.Chdir(t.TempDir())
	const tests = `[
  {"kind": "Kubernetes", "clusterName": "primary", "podSubnet": "10.10.0.0/16", "svcSubnet": "10.255.10.0/24", "network": "network-1"},
  {"kind": "Kubernetes", "clusterName": "remote", "network": "network-2", "primaryClusterName": "primary", "meta": {"fakeVM": true}}
]`
	must(t, os.WriteFile("multicluster.json", []byte(tests), 0o600))
	r := call(t, "init", "--from-istio-test", "multicluster.json", "two.yaml")
	const note = "note: multicluster.json:3:127: [1].meta.fakeVM: pods that stand for virtual machines have no counterpart (workloads are pods with a sidecar)\n"
	if r.code != 0 || r.err != note || !strings.Contains(r.stdout, "two.yaml: topology two; next: ") {
		t.Errorf("%+v", r)
	}
	written, err := os.ReadFile("two.yaml")
	must(t, err)
	for _, want := range []string{"# yaml-language-server: $schema=./meshfed.schema.json\n# Written by `meshfed init` from multicluster.json of Istio's tests.\n", "name: two\n", "podSubnet: 10.10.0.0/16", "primary: primary\n"} {
		if !strings.Contains(string(written), want) {
			t.Errorf("%q is missing in\n%s", want, written)
		}
	}
	if r := call(t, "validate", "-f", "two.yaml"); r.code != 0 || !strings.Contains(r.stdout, "2 clusters, is valid") {
		t.Errorf("%+v", r)
	}
	call(t, "init", "--from-istio-test", "multicluster.json", "two.yaml").hinted(t, wrong, "two.yaml is there already")

	piped := callInput(t, tests, "init", "--from-istio-test", "-", "-")
	if piped.code != 0 || !strings.Contains(piped.stdout, "name: mesh\n") || !strings.HasPrefix(piped.err, "note: <stdin>:3:127: ") {
		t.Errorf("%+v", piped)
	}
	if r := callInput(t, piped.stdout, "validate", "-f", "-"); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

func TestInitFromIstioTestRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("upper.json", []byte(`[{"clusterName": "West"}]`), 0o600))
	must(t, os.WriteFile("wrong.json", []byte(`{"clusterName": "west"}`), 0o600))
	call(t, "init", "--from-istio-test", "nosuch.json").hinted(t, wrong, "nosuch.json", "prow/config/topology/multicluster.json")
	if r := call(t, "init", "--from-istio-test", "wrong.json"); r.code != wrong || !strings.Contains(r.err, "wrong.json:1:1: a list of clusters is expected, not a mapping") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat("topology.yaml"); !os.IsNotExist(err) {
		t.Errorf("a file was written: %v", err)
	}
	r := call(t, "init", "--from-istio-test", "upper.json", "upper.yaml")
	if r.code != 0 || !strings.Contains(r.err, `warning: to be changed before it is used:`) || !strings.Contains(r.err, `"West" is no DNS label`) {
		t.Errorf("%+v", r)
	}
}
