// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfed/meshfed/internal/bundle"
	"github.com/meshfed/meshfed/internal/golden"
	"github.com/meshfed/meshfed/internal/render"
	"github.com/meshfed/meshfed/topology"
)

// renderedFiles renders a mesh that asks nobody.
func renderedFiles(t *testing.T, m *Mesh) (Rendering, []render.File) {
	t.Helper()
	m.Engine, m.Provider = nil, nil
	r, err := Render(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Files(m)
	if err != nil {
		t.Fatal(err)
	}
	return r, files
}

var exampleRenderings sync.Map

// renderedExample renders a file of examples once for all tests, which only read it.
func renderedExample(t *testing.T, name string) (Rendering, []render.File) {
	t.Helper()
	type both struct {
		Rendering
		files []render.File
	}
	made, _ := exampleRenderings.LoadOrStore(name, sync.OnceValue(func() both {
		r, files := renderedFiles(t, newMesh(t, name))
		return both{r, files}
	}))
	rendered := made.(func() both)()
	if len(rendered.files) == 0 {
		t.Fatalf("%s could not be rendered", name)
	}
	return rendered.Rendering, rendered.files
}

const twoClusters = "../../examples/two-clusters/topology.yaml"

// TestRenderTwoClusters keeps what the example renders to: each file's digest, and those files
// whole that a person can read.
func TestRenderTwoClusters(t *testing.T) {
	t.Parallel()
	const readable = 12 << 10
	_, files := renderedExample(t, twoClusters)
	var text strings.Builder
	for _, f := range files {
		fmt.Fprintf(&text, "=== %s: %d bytes, sha256 %x\n", f.Path, len(f.Data), sha256.Sum256(f.Data))
		if len(f.Data) < readable && !strings.HasPrefix(f.Path, "east/") {
			text.Write(f.Data)
		}
	}
	golden.Check(t, "testdata/two-clusters.render", text.String())
}

// TestRenderSaysTheSame: nothing of a rendering follows from chance, from the clock, or from
// whose mesh it is.
func TestRenderSaysTheSame(t *testing.T) {
	t.Parallel()
	_, first := renderedExample(t, twoClusters)
	other := newMesh(t, twoClusters)
	other.Owner = "fedcba9876543210"
	_, second := renderedFiles(t, other)
	if len(first) != len(second) {
		t.Fatalf("%d files, then %d", len(first), len(second))
	}
	for i := range first {
		if first[i].Path != second[i].Path || !bytes.Equal(first[i].Data, second[i].Data) {
			t.Errorf("%s, then %s with another content", first[i].Path, second[i].Path)
		}
	}
}

// TestEveryStepIsRenderedOrLeftOut: whoever adds a step to Up says how it is rendered.
func TestEveryStepIsRenderedOrLeftOut(t *testing.T) {
	t.Parallel()
	for _, file := range examples(t) {
		r, _ := renderedExample(t, file)
		for _, name := range newMesh(t, file).Topology.Names() {
			if len(r.stages(name)) == 0 {
				t.Errorf("%s: nothing is rendered for %s", file, name)
			}
		}
	}
	r := renderer{m: newMesh(t, twoClusters)}
	if err := r.step(t.Context(), "novelty", "west"); err == nil {
		t.Error("a step that nobody knows was left out in silence")
	}
}

// TestRenderHoldsNoSecret hunts for what must not be committed, in a topology with a login.
func TestRenderHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, file := range examples(t) {
		r, files := renderedExample(t, file)
		for _, f := range files {
			if found := regexp.MustCompile(`PRIVATE KEY|eyJ[A-Za-z0-9_-]{10}|(?m)^ *(?:token|password|ca-key\.pem): *[^$\s{]`).Find(f.Data); found != nil {
				t.Errorf("%s: %s has %q", file, f.Path, found)
			}
		}
		for _, manifest := range r.Manifests {
			for _, u := range manifest.Objects {
				if u.GetKind() == "Secret" || u.GetLabels()[topology.LabelOwner] != "" {
					t.Errorf("%s: %s has %s %s with labels %v", file, manifest.Path(), u.GetKind(), u.GetName(), u.GetLabels())
				}
			}
		}
	}
	r := renderer{m: newMesh(t, examples(t)[0])}
	r.add("west", stageMesh, "chart", []*unstructured.Unstructured{{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "hidden"}}}})
	if len(r.made.Manifests) != 0 || len(r.made.Omitted) != 1 {
		t.Errorf("a chart's Secret: %+v", r.made)
	}
}

// TestRenderedObjectsStandAlone: kubectl needs the namespace of each, the kinds of a stage must
// be served before it, and istiod may not start without its CA.
func TestRenderedObjectsStandAlone(t *testing.T) {
	t.Parallel()
	r, _ := renderedExample(t, twoClusters)
	served := map[string]bool{}
	for _, manifest := range r.Manifests {
		for _, u := range manifest.Objects {
			if kind, _, _ := unstructured.NestedString(u.Object, "spec", "names", "kind"); kind != "" {
				served[manifest.Cluster+" "+kind] = true
			}
			group := u.GroupVersionKind().Group
			if strings.HasSuffix(group, ".istio.io") && !served[manifest.Cluster+" "+u.GetKind()] {
				t.Errorf("%s: %s before its definition", manifest.Path(), u.GetKind())
			}
			scoped := strings.HasPrefix(u.GetKind(), "Cluster") || strings.Contains(u.GetKind(), "Webhook") || u.GetKind() == "Namespace" || u.GetKind() == "CustomResourceDefinition"
			if scoped != (u.GetNamespace() == "") {
				t.Errorf("%s: %s %s is in namespace %q", manifest.Path(), u.GetKind(), u.GetName(), u.GetNamespace())
			}
			if wave := u.GetAnnotations()[annotationWave]; !strings.HasPrefix(manifest.Stage, wave+"-") {
				t.Errorf("%s: %s %s is in wave %q", manifest.Path(), u.GetKind(), u.GetName(), wave)
			}
		}
	}
	for _, manifest := range r.Manifests {
		for _, u := range manifest.Objects {
			switch {
			case u.GetKind() == "Deployment" && u.GetName() == "istiod":
				if text := fmt.Sprint(u.Object["spec"]); !strings.Contains(text, "map[optional:false secretName:cacerts]") {
					t.Errorf("%s: istiod may start without cacerts", manifest.Path())
				}
			case u.GetKind() == "ValidatingWebhookConfiguration":
				if text := fmt.Sprint(u.Object["webhooks"]); strings.Contains(text, "failurePolicy") || strings.Contains(text, "caBundle") {
					t.Errorf("%s: %s has what istiod writes itself: %s", manifest.Path(), u.GetName(), text)
				}
			}
		}
	}
}

// TestRenderMetalLB: addresses that the file has are rendered, with the chart of the bundle.
func TestRenderMetalLB(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("metallb/Chart.yaml", "apiVersion: v2\nname: metallb\nversion: 0.15.2\n")
	write("metallb/templates/all.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: metallb-controller}\nspec: {template: {spec: {containers: []}}}\n"+
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: metallb-webhook-cert}\n"+
		"---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ipaddresspools.metallb.io}\n"+
		"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: metallb:controller, annotations: {kubernetes: {{ .Capabilities.KubeVersion.Version }}}}\n")
	m := parsed(t, "apiVersion: meshfed.io/v1alpha1\nkind: Topology\nmetadata: {name: balanced}\nspec:\n  clusters:\n"+
		"  - name: west\n    provider: {kind: {kubernetes: 1.36.2}}\n    loadBalancer: {addresses: [10.90.0.160-10.90.0.170]}\n  - name: east\n")
	m.Bundle = &bundle.Bundle{Dir: dir, Manifest: bundle.Manifest{Charts: []bundle.Chart{{Name: "metallb", Version: "0.15.2", File: "metallb"}}}}
	r, files := renderedFiles(t, m)
	all := map[string]string{}
	for _, f := range files {
		all[f.Path] = string(f.Data)
	}
	for path, texts := range map[string][]string{
		"west/10-definitions/namespaces.yaml":     {"name: metallb-system", "pod-security.kubernetes.io/enforce: privileged"},
		"west/10-definitions/definitions.yaml":    {"ipaddresspools.metallb.io"},
		"west/20-control-plane/loadbalancer.yaml": {"namespace: metallb-system", "10.90.0.160-10.90.0.170", "kind: L2Advertisement", "kubernetes: v1.36.2"},
		"README.md": {"exclude-from-external-load-balancers-", "| east | MetalLB |", "-n metallb-system deployment/metallb-controller"},
	} {
		for _, text := range texts {
			if !strings.Contains(all[path], text) {
				t.Errorf("%s has no %q:\n%s", path, text, all[path])
			}
		}
	}
	if strings.Contains(all["README.md"], "| west | MetalLB |") || r.has("east", "loadbalancer") {
		t.Errorf("east has no addresses, west has:\n%s", all["README.md"])
	}
}

// TestTheReadmeIsAScript: what it says can be read by bash.
func TestTheReadmeIsAScript(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, file := range examples(t) {
		_, files := renderedExample(t, file)
		for _, f := range files {
			if f.Path != "README.md" {
				continue
			}
			var script strings.Builder
			for _, block := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllSubmatch(f.Data, -1) {
				script.Write(block[1])
			}
			cmd := exec.Command(bash, "-n")
			cmd.Stdin = strings.NewReader(script.String())
			external := strings.Contains(string(f.Data), "An external control plane") // which has none
			if out, err := cmd.CombinedOutput(); err != nil || (script.Len() == 0) != external {
				t.Errorf("%s: %v\n%s", file, err, out)
			}
		}
	}
}

func TestReleaseOfAFile(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"": "", "1.36.3": "1.36.3", "docker.io/kindest/node:v1.35.8": "1.35.8", "docker.io/kindest/node:latest": "",
		"localhost:5000/node:v1.34.11@sha256:44e2": "1.34.11",
	} {
		m := &Mesh{Topology: &topology.Topology{Spec: topology.Spec{Clusters: []topology.Cluster{
			{Name: "west", Provider: topology.Provider{Kind: &topology.KindProvider{Kubernetes: said}}}}}}}
		if got := m.release("west"); got != want {
			t.Errorf("%q is release %q, want %q", said, got, want)
		}
	}
}
