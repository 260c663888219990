// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package deptest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/deptest"
)

const module = "github.com/meshfed/meshfed"

// TestArrows holds the project to the arrows of docs/architecture.md.
func TestArrows(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, filepath.Join("..", "..")).Arrows(deptest.Rules()) {
		t.Error(v)
	}
}

// TestHabits holds the project to its habits.
func TestHabits(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, filepath.Join("..", "..")).Habits() {
		t.Error(v)
	}
}

func load(t *testing.T, root string) *deptest.Tree {
	t.Helper()
	tree, err := deptest.Load(root, module)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

const header = "// SPDX-FileCopyrightText: The meshfed authors\n// SPDX-License-Identifier: Apache-2.0\n\n"

// write makes a source tree; each value is the imports of a file, one a line.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, source := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestArrowsFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		// imports by package; importers are bound, the others are passed through.
		imports map[string][]string
		want    []string
	}{
		{"a good tree", map[string][]string{
			"cmd/meshfed/cli": {"github.com/spf13/cobra", module + "/internal/plan"},
			"internal/plan":   {module + "/install", module + "/federation", module + "/verify", module + "/internal/graph"},
			"install":         {module + "/internal/kube", module + "/topology", "helm.sh/helm/v4/pkg/action"},
			"internal/kube":   {"k8s.io/client-go/rest", module + "/topology"},
			"internal/graph":  {module + "/internal/poll"}, "internal/run": {module + "/internal/poll"},
			"internal/cluster/kind": {"sigs.k8s.io/kind/pkg/cluster", module + "/internal/cluster"},
			"topology":              {"go.yaml.in/yaml/v4"}, "certs": {"go.step.sm/crypto/keyutil", module + "/internal/diag"},
			"internal/probe": {"net/http", module + "/internal/probe/wire"},
		}, nil},
		{"topology with a client", map[string][]string{"topology": {"k8s.io/client-go/rest"}}, []string{"topology must not import k8s.io/client-go/rest"}},
		{"certs with helm", map[string][]string{"certs": {"helm.sh/helm/v4/pkg/action"}}, []string{"certs must not import helm.sh"}},
		{"a client behind a package that is allowed", map[string][]string{
			"certs": {module + "/internal/run"}, "internal/run": {module + "/internal/poll"}, "internal/poll": {"sigs.k8s.io/controller-runtime/pkg/client"},
		}, []string{"internal/poll must not import sigs.k8s.io/controller-runtime",
			"certs must not import sigs.k8s.io/controller-runtime/pkg/client, by way of internal/poll, by way of internal/run"}},
		{"certs on a higher floor", map[string][]string{"certs": {module + "/internal/state"}}, []string{"certs must not import " + module + "/internal/state"}},
		{"install knows federation", map[string][]string{"install": {module + "/federation"}}, []string{"install must not import " + module + "/federation"}},
		{"verify knows install through a third", map[string][]string{"verify": {module + "/internal/x"}, "internal/x": {module + "/install"}},
			[]string{"verify must not import " + module + "/install, by way of internal/x"}},
		{"federation knows a subpackage of verify", map[string][]string{"federation": {module + "/verify/judge"}}, []string{"federation must not import"}},
		{"kind elsewhere", map[string][]string{"internal/cluster": {"sigs.k8s.io/kind/pkg/cluster"}}, []string{"only internal/cluster/kind knows kind"}},
		{"cobra below cmd", map[string][]string{"internal/ui": {"github.com/spf13/cobra"}}, []string{"nothing below cmd knows the command line"}},
		{"graph knows Istio", map[string][]string{"internal/graph": {module + "/topology"}}, []string{"internal/graph must not import " + module + "/topology"}},
		{"graph behind poll", map[string][]string{"internal/graph": {module + "/internal/run"}}, []string{"internal/graph must not import " + module + "/internal/run"}},
		{"someone imports cmd", map[string][]string{"verify": {module + "/cmd/meshfed/cli"}}, []string{"nothing imports cmd", "verify must not import"}},
		{"kube knows install", map[string][]string{"internal/kube": {module + "/install"}}, []string{"arrows point down"}},
		{"a heavy probe", map[string][]string{"internal/probe": {"google.golang.org/grpc"}}, []string{"standard library only"}},
		{"a program with the tools of tests", map[string][]string{"verify": {module + "/internal/golden"}}, []string{"they are for tests"}},
		{"a cycle ends", map[string][]string{"certs": {module + "/topology"}, "topology": {module + "/certs"}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for pkg, imports := range c.imports {
				source := "package p\n"
				for _, i := range imports {
					source += "import _ \"" + i + "\"\n"
				}
				files[pkg+"/a.go"] = source
				// What tests import is their own business.
				files[pkg+"/a_test.go"] = "package p\nimport _ \"sigs.k8s.io/kind\"\n"
			}
			var got []string
			for _, v := range load(t, write(t, files)).Arrows(deptest.Rules()) {
				got = append(got, v.String())
				if v.Line == 0 {
					t.Errorf("no line: %s", v)
				}
			}
			if (len(got) == 0) != (len(c.want) == 0) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) }) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestHabitsFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	doc := header + "// Package p is documented.\npackage p\n"
	long := strings.Repeat("\tprintln()\n", 81)
	root := write(t, map[string]string{
		"good/doc.go":           doc,
		"good/a.go":             header + "package p\n\nimport \"os\"\n\nvar exit = 3 // os.Exit and time.Sleep in comments are fine\nvar _ = os.Args\n",
		"good/a_test.go":        header + "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1); panic(1)\n" + long + "}\n",
		"good/testdata/x.go":    "package broken {",
		".hidden/x.go":          "package broken {",
		"nested/go.mod":         "module nested\n",
		"nested/x.go":           "package x\n",
		"gen/doc.go":            doc,
		"gen/zz.go":             "// Code generated by hand. DO NOT EDIT.\n\npackage p\n\nfunc init() {}\n",
		"cmd/tool/main.go":      header + "// Command tool is documented.\npackage main\n\nimport \"os\"\n\nfunc main() { os.Exit(1) }\n",
		"cmd/bare/main.go":      header + "package main\n\nfunc main() {}\n",
		"cmd/tool/cli/doc.go":   doc,
		"cmd/tool/cli/a.go":     header + "package p\n\nimport \"os\"\n\nfunc f() { os.Exit(1) }\n",
		"test/e2e/a_test.go":    "//go:build e2e\n\n" + header + "// Package e2e is documented.\npackage e2e\n",
		"nodoc/a.go":            header + "// Package p has its comment in the wrong file.\npackage p\n",
		"nolicence/doc.go":      "// Package p is documented.\npackage p\n",
		"sleepy/doc.go":         doc,
		"sleepy/a.go":           header + "package p\n\nimport clock \"time\"\n\nfunc f() { clock.Sleep(1) }\n",
		"fatal/doc.go":          doc,
		"fatal/a.go":            header + "package p\n\nimport \"log\"\n\nfunc f() { log.Fatalf(\"x\") }\nfunc init() {}\nfunc g() { panic(\"x\") }\n",
		"longfunc/doc.go":       doc,
		"longfunc/a.go":         header + "package p\n\nfunc f() {\n" + long + "}\n",
		"longfile/doc.go":       doc,
		"longfile/a.go":         header + "package p\n" + strings.Repeat("\n", 500),
		"doesnotparse/doc.go":   doc,
		"doesnotparse/other.go": header + "package p\nfunc {\n",
	})
	var got []string
	for _, v := range load(t, root).Habits() {
		file, message, _ := strings.Cut(v.String(), ": ")
		got = append(got, file+" "+strings.Join(strings.Fields(message)[:2], " "))
	}
	slices.Sort(got)
	want := []string{
		"cmd/bare/doc.go the package",
		"cmd/tool/cli/a.go:8 os.Exit: return",
		"doesnotparse/other.go does not",
		"fatal/a.go:8 log.Fatalf: return",
		"fatal/a.go:9 no init",
		"fatal/a.go:10 panic: return",
		"longfile/a.go 504 lines,",
		"longfunc/a.go:6 f has",
		"nodoc/doc.go the package",
		"nolicence/doc.go:1 must begin",
		"sleepy/a.go:8 time.Sleep: wait",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
