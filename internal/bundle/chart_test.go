// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testChart = `apiVersion: v2
name: metallb
dependencies:
- name: crds
  version: 0.15.2
- name: frr-k8s
  repository: https://example.test
  condition: frrk8s.enabled

# the type
type: application
`

func TestChartIsPackedWithoutFRR(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	if err := writeFiles(from, map[string][]byte{
		"Chart.yaml": []byte(testChart), "values.yaml": []byte("a: 1\n"), "charts/frr-k8s-0.0.20.tgz": nil,
		"charts/crds/Chart.yaml": []byte("name: crds\n"), "policy/rbac.rego": nil, "Chart.lock": nil,
	}); err != nil {
		t.Fatal(err)
	}
	if err := packChart(from, to); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(to, chartFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := listing(t, z)
	var names []string
	for _, name := range sortedKeys(files) {
		if !strings.HasSuffix(name, "/") {
			names = append(names, name)
		}
	}
	if want := []string{"metallb/Chart.yaml", "metallb/charts/crds/Chart.yaml", "metallb/values.yaml"}; !slices.Equal(names, want) {
		t.Errorf("the archive holds %q, want %q", names, want)
	}
	chart := files["metallb/Chart.yaml"]
	if strings.Contains(chart, "frr") || !containsAll(chart, "- name: crds\n  version: 0.15.2\n", "type: application\n") {
		t.Errorf("Chart.yaml is\n%s", chart)
	}
}

func TestChartWithoutTheDependency(t *testing.T) {
	t.Parallel()
	if _, err := dropDependency([]byte("dependencies:\n- name: crds\n"), "frr-k8s"); err == nil {
		t.Error("a chart that changed is packed all the same")
	}
}

func TestPatchMustFit(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"once": patchFrom, "never": "x", "twice": patchFrom + patchFrom} {
		from, to := t.TempDir(), t.TempDir()
		if err := writeFiles(from, map[string][]byte{patchFile: []byte(text), "go.mod": nil}); err != nil {
			t.Fatal(err)
		}
		err := writePatched(to, from, []byte("module m\n"), nil)
		if (err == nil) != (name == "once") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "once" {
			continue
		}
		if data, _ := os.ReadFile(filepath.Join(to, patchDir, patchFile)); string(data) != patchTo {
			t.Errorf("patched to %q", data)
		}
		if mod, _ := os.ReadFile(filepath.Join(to, patchMod)); !strings.HasSuffix(string(mod), "replace "+metallbModule+" => ./"+patchDir+"\n") {
			t.Errorf("module file is %q", mod)
		}
	}
}
