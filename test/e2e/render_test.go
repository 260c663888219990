//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/topology"
)

// TestAllRender: what `render` writes, applied by kubectl alone as its README says, is the mesh that
// `up` makes of the same file. `up` makes it first, and every object of both clusters is noted;
// then all that `up` has installed is deleted, the blocks of the README are run as they stand,
// and every object is compared. At the end `verify` proves the mesh that kubectl made, by
// the suites that `up` ends with.
func TestAllRender(t *testing.T) {
	onlyAll(t)
	m := meshOf(t, podman(), "mfe2erender", renderedTopology("", ""))
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })
	m.must("up", "--verify", "never")

	tools := kubectlOf(t, m)
	west, east := poolOf(t, m, "west"), poolOf(t, m, "east")
	if err := os.WriteFile(m.file, []byte(renderedTopology(west, east)), 0o600); err != nil {
		t.Fatal(err)
	}
	made := map[string]map[string]any{"west": objectsOf(t, m, "west"), "east": objectsOf(t, m, "east")}
	for _, name := range []string{"west", "east"} {
		tools.empty(t, m, name)
	}

	folder := filepath.Join(t.TempDir(), "manifests")
	for range 2 { // the second finds everything written
		r := renderInto(t, m, folder)
		t.Log(r.stderr)
	}
	start := time.Now()
	tools.bash(t, readmeScript(t, folder), "MANIFESTS="+folder)
	t.Logf("the README's blocks: %.1f s", time.Since(start).Seconds())
	rep := m.parse(m.must("verify", "-o", "json", "--suite", "trust,discovery,weights,locality,authorization"))
	if rep.Summary["pass"] == 0 || rep.Summary["fail"]+rep.Summary["inconclusive"] != 0 {
		t.Errorf("verify of the mesh that kubectl made: %v\n%s", rep.Summary, rep.words())
	}
	t.Logf("verify: %v", rep.Summary)

	for _, name := range []string{"west", "east"} {
		applied := objectsOf(t, m, name)
		t.Logf("%s: %d objects by up, %d by kubectl", name, len(made[name]), len(applied))
		if diff := cmp.Diff(made[name], applied); diff != "" {
			t.Errorf("%s: kubectl made something else than up (-up +kubectl):\n%s", name, diff)
		}
		again(t, tools, m, name, folder)
	}
	notTakenOver(t, m)
	m.must("down", "--delete-certs", "--yes")
	for _, left := range inventory(t, m.engine, m.state) {
		if strings.Contains(left, m.name) {
			t.Errorf("%s is left on the host", left)
		}
	}
}

// notTakenOver: `up` on what kubectl has applied is refused and changes nothing of it.
func notTakenOver(t *testing.T, m *mesh) {
	t.Helper()
	before := map[string]map[string]any{"west": objectsOf(t, m, "west"), "east": objectsOf(t, m, "east")}
	r := m.run("up", "--verify", "never")
	if r.code == 0 {
		t.Errorf("up took over what it did not make: %s", r)
	}
	t.Log(r.stderr)
	for name, objects := range before {
		if diff := cmp.Diff(objects, objectsOf(t, m, name)); diff != "" {
			t.Errorf("%s: up was refused and changed (-before +after):\n%s", name, diff)
		}
	}
}

// renderedTopology is a file with what can be rendered: gateways, strict mode, and MetalLB's
// addresses once they are known.
func renderedTopology(west, east string) string {
	balanced := func(addresses string) string {
		if addresses == "" {
			return ""
		}
		return "    loadBalancer: {addresses: [" + addresses + "]}\n"
	}
	return "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: mfe2erender}\nspec:\n" +
		"  mesh: {mtls: Strict}\n  clusters:\n" +
		"  - name: west\n    locality: {region: us-west}\n    ingress: {hostPorts: {http: 31790}}\n" + balanced(west) +
		"  - name: east\n    locality: {region: us-east}\n    ingress: {hostPorts: {http: 31791}}\n" + balanced(east)
}

func renderInto(t *testing.T, m *mesh, folder string) result {
	t.Helper()
	return m.must("render", "-o", folder, "--bundle", bundle.DefaultDir())
}

// kubectl is the one that every node image has, with the user's kubeconfig, and nothing else of
// the program.
type kubectl struct{ bin, kubeconfig string }

func kubectlOf(t *testing.T, m *mesh) kubectl {
	t.Helper()
	k := kubectl{bin: t.TempDir(), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	m.engine.output(t, "cp", m.name+"-west-control-plane:/usr/bin/kubectl", filepath.Join(k.bin, "kubectl"))
	if err := os.WriteFile(k.kubeconfig, []byte(m.must("kubeconfig").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// bash runs a script in an empty folder of its own.
func (k kubectl) bash(t *testing.T, script string, env ...string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"HOME=" + cmd.Dir, "PATH=" + k.bin + ":/usr/bin:/bin", "KUBECONFIG=" + k.kubeconfig}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return string(out)
}

// poolOf is the range of addresses that MetalLB was given.
func poolOf(t *testing.T, m *mesh, name string) string {
	t.Helper()
	for key, object := range objectsOf(t, m, name) {
		if strings.HasPrefix(key, "IPAddressPool.") {
			spec := object.(map[string]any)["spec"].(map[string]any)
			return spec["addresses"].([]any)[0].(string)
		}
	}
	t.Fatalf("%s has no address pool", name)
	return ""
}

// empty deletes all that `up` has installed, and puts back the label that kubeadm sets.
func (k kubectl) empty(t *testing.T, m *mesh, name string) {
	t.Helper()
	k.bash(t, `set -euo pipefail
k="kubectl --context `+m.name+"-"+name+`"
$k delete mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,customresourcedefinitions -l `+topology.LabelTopology+`
$k delete namespace istio-system metallb-system
$k delete configmap --all-namespaces --field-selector metadata.name=istio-ca-root-cert
$k delete configmap --all-namespaces --field-selector metadata.name=istio-ca-crl
$k label nodes --all node.kubernetes.io/exclude-from-external-load-balancers=
`)
	for key := range objectsOf(t, m, name) {
		if regexp.MustCompile(`istio|metallb`).MatchString(key) {
			t.Errorf("%s is not empty: %s is there", name, key)
		}
	}
}

// readmeScript joins the blocks of bash of a rendered README.
func readmeScript(t *testing.T, folder string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	blocks := regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	for _, block := range blocks {
		script.WriteString(block[1])
	}
	if len(blocks) < 6 {
		t.Fatalf("%d blocks in the README", len(blocks))
	}
	return script.String()
}

// again: the same manifests applied once more meet no conflict and change nothing.
func again(t *testing.T, k kubectl, m *mesh, name, folder string) {
	t.Helper()
	versions := func() map[string]string {
		found := map[string]string{}
		for key, u := range everything(t, m, name) {
			if u.GetLabels()[topology.LabelTopology] != "" {
				found[key] = u.GetResourceVersion()
			}
		}
		return found
	}
	before := versions()
	k.bash(t, `set -euo pipefail; for stage in "$MANIFESTS"/`+name+`/*/; do kubectl --context `+m.name+"-"+name+` apply --server-side -f "$stage"; done`, "MANIFESTS="+folder)
	after := versions()
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if after[key] != before[key] && !strings.HasPrefix(key, "Deployment.") && !strings.HasPrefix(key, "DaemonSet.") { // their status moves
			t.Errorf("%s: %s was changed by applying it again", name, key)
		}
	}
	k.bash(t, "kubectl --context "+m.name+"-"+name+` apply -k "$MANIFESTS"/`+name+" --server-side --dry-run=server", "MANIFESTS="+folder)
}

// objectsOf are all objects of a cluster by kind and name, without what is different in any two
// clusters: see likened.
func objectsOf(t *testing.T, m *mesh, name string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for key, u := range everything(t, m, name) {
		data, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		tree := map[string]any{}
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		if likened(u, tree) {
			all[key] = tree
		}
	}
	return all
}
