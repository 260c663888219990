// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/hack/dist/licences"
	"github.com/meshfed/meshfed/hack/dist/sbom"
)

// listing is what the Go command says of a program with two modules.
const listing = `
{"ImportPath": "fmt", "Dir": "/go/src/fmt", "Standard": true, "Imports": ["internal/x"]}
{"ImportPath": "vendor/golang.org/x/net", "Dir": "/go/src/vendor/golang.org/x/net", "Standard": true}
{"ImportPath": "example.org/lib/deep", "Dir": "/cache/example.org/lib@v1.0.0/deep", "Imports": ["fmt"],
 "Module": {"Path": "example.org/lib", "Version": "v1.0.0", "Dir": "/cache/example.org/lib@v1.0.0"}}
{"ImportPath": "example.org/lib", "Dir": "/cache/example.org/lib@v1.0.0", "Imports": ["fmt", "example.org/lib/deep"],
 "Module": {"Path": "example.org/lib", "Version": "v1.0.0", "Dir": "/cache/example.org/lib@v1.0.0"}}
{"ImportPath": "example.org/own/cmd/x", "Dir": "/src/cmd/x", "Imports": ["example.org/lib", "fmt", "C"],
 "Module": {"Path": "example.org/own", "Dir": "/src", "Main": true}}
`

func grouped(t *testing.T) map[string]*module {
	t.Helper()
	modules, err := groupModules(strings.NewReader(listing), "/go")
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

func TestGroupModules(t *testing.T) {
	t.Parallel()
	want := map[string]*module{
		sbom.Standard: {Module: licences.Module{Path: sbom.Standard, Dir: "/go"}},
		"example.org/lib": {Module: licences.Module{Path: "example.org/lib", Version: "v1.0.0", Dir: "/cache/example.org/lib@v1.0.0",
			Packages: []string{"/cache/example.org/lib@v1.0.0/deep", "/cache/example.org/lib@v1.0.0"}}, needs: []string{sbom.Standard}},
		"example.org/own": {Module: licences.Module{Path: "example.org/own", Dir: "/src", Packages: []string{"/src/cmd/x"}},
			needs: []string{"example.org/lib", sbom.Standard}},
	}
	if diff := cmp.Diff(want, grouped(t), cmp.AllowUnexported(module{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"{", `{"ImportPath": "x"}`} {
		if _, err := groupModules(strings.NewReader(wrong), "/go"); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
}

// TestAgree: a module that is linked and was not listed would have no licence in the release.
func TestAgree(t *testing.T) {
	t.Parallel()
	lib := &debug.Module{Path: "example.org/lib", Version: "v1.0.0"}
	for name, c := range map[string]struct {
		deps []*debug.Module
		want string
	}{
		"same":          {deps: []*debug.Module{lib}},
		"one more":      {deps: []*debug.Module{lib, {Path: "example.org/more", Version: "v1.0.0"}}, want: "not listed: example.org/more"},
		"one less":      {want: "module example.org/lib v1.0.0 was listed"},
		"other version": {deps: []*debug.Module{{Path: "example.org/lib", Version: "v1.0.1"}}, want: `the program has "v1.0.1"`},
	} {
		p := &program{name: "x", Binary: sbom.Binary{Build: &debug.BuildInfo{Main: debug.Module{Path: "example.org/own"}, Deps: c.deps}}}
		err := p.agree(grouped(t))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestEnsure: a file is made once, and again when an input or the file itself has changed.
func TestEnsure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := &release{out: dir, work: t.TempDir(), source: source{number: "1.2.3", commit: "abc", date: time.Unix(0, 0)}}
	made := 0
	ensure := func(input string) {
		t.Helper()
		err := r.ensure("a", []string{input}, func(w io.Writer) error { made++; _, err := io.WriteString(w, "of "+input); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "a")
	for i, step := range []struct {
		change func() error
		input  string
		want   int
	}{
		{nil, "one", 1},
		{nil, "one", 1},
		{nil, "two", 2},
		{func() error { return os.WriteFile(file, []byte("damaged"), 0o600) }, "two", 3},
		{func() error { return os.Remove(file) }, "two", 4},
		{func() error { r.commit = "def"; return nil }, "two", 5},
		{nil, "two", 5},
	} {
		if step.change != nil {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}
		}
		ensure(step.input)
		if data, err := os.ReadFile(file); made != step.want || err != nil || string(data) != "of "+step.input {
			t.Errorf("step %d: made %d times, want %d; %q, %v", i, made, step.want, data, err)
		}
	}
}
