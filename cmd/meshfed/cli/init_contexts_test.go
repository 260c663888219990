// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"testing"
)

// TestInitFromContextsRefuses: nothing is written when a context is not there or can not be
// asked. That a mesh is described by it is tested with real clusters, in test/e2e.
func TestInitFromContextsRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("kubeconfig", []byte(`apiVersion: v1
kind: Config
clusters: [{name: west, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: west, context: {cluster: west, user: me}}]
users: [{name: me, user: {}}]
`), 0o600))
	t.Setenv("KUBECONFIG", "kubeconfig")
	for _, contexts := range []string{"nosuch", "west", "west,west"} {
		r := call(t, "init", "--from-contexts", contexts)
		if r.code == 0 || r.err == "" {
			t.Errorf("%s: %+v", contexts, r)
		}
		if _, err := os.Stat("topology.yaml"); !os.IsNotExist(err) {
			t.Errorf("%s: a file was written: %v", contexts, err)
		}
	}
	call(t, "init", "--from-contexts", "west", "--from-istio-test", "x.json").hinted(t, wrong, "exclude each other", "name one")
}
