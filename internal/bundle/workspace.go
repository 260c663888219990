// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// Builds of what is written in this repository, and the probe's module within the workspace.
const (
	pauseBuild = "pause"
	probeBuild = "probe"
	probeDir   = "probe"
)

// goEnv is the environment of every Go command: module checks as the host has them set, flags
// and toolchain as this package needs them.
func goEnv() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1"}
}

// goVersion asks the Go command for its release; it is an input of every program.
func goVersion(ctx context.Context) (string, error) {
	v, err := run.Command{Name: "go", Args: []string{"env", "GOVERSION"}, Env: goEnv()}.Output(ctx)
	if err != nil {
		return "", fmt.Errorf("asking for the Go release: %w", err)
	}
	return v, nil
}

// writeWorkspace makes the module that pins all components, and the patched copy beside it.
func writeWorkspace(ctx context.Context, dir string, probe map[string][]byte) error {
	files := map[string][]byte{}
	for from, to := range map[string]string{
		"components.mod": "go.mod", "components.sum": "go.sum", "components.go.txt": "components.go",
		"pause/main.go.txt": "pause/main.go",
	} {
		data, err := source(from)
		if err != nil {
			return err
		}
		files[to] = data
	}
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	if err := writeFiles(filepath.Join(dir, probeDir), probe); err != nil {
		return err
	}
	dirs, err := moduleDirs(ctx, dir, metallbModule)
	if err != nil {
		return err
	}
	return writePatched(dir, dirs[metallbModule], files["go.mod"], files["go.sum"])
}

// moduleDirs returns where the Go command keeps the pinned modules; it downloads and verifies
// them against go.sum when they are not there.
func moduleDirs(ctx context.Context, workspace string, modules ...string) (map[string]string, error) {
	out, err := run.Command{
		Name: "go", Args: append([]string{"mod", "download", "-json"}, modules...), Env: goEnv(), Dir: workspace,
	}.Output(ctx)
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("downloading Go modules: %w", err),
			"go env GOPROXY shows where they come from; the host must reach it, or have them in its module cache")
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var m struct{ Path, Dir, Error string }
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("reading what go mod download says: %w", err)
		}
		if m.Error != "" {
			return nil, fmt.Errorf("downloading module %s: %s", m.Path, m.Error)
		}
		dirs[m.Path] = m.Dir
	}
	return dirs, nil
}

// writeFiles writes files below dir and makes the folders that they need.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// compile runs the Go compiler once and leaves the programs in dir. Each line that the compiler
// says, which is a package or a download, goes to detail.
func compile(ctx context.Context, workspace, dir string, g goBuild, log *logFile, detail func(string)) error {
	// Linking Kubernetes takes more than a small /tmp has; what a killed compiler leaves goes with the folder.
	tmp, err := scratch(dir)
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(tmp) }()
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"}
	if g.patched {
		args = append(args, "-modfile="+patchMod)
	}
	args = append(args, "-tags", g.tags, "-ldflags", strings.TrimSpace("-s -w "+g.ldflags), "-o", dir+string(filepath.Separator))
	err = run.Command{
		Name: "go", Args: append(args, g.packages...), Env: append(goEnv(), "GOTMPDIR="+tmp), Dir: filepath.Join(workspace, g.dir),
		Stdout: log, Stderr: lines{log: log, tell: detail},
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("compiling: %w", err)
	}
	for _, p := range g.packages {
		if _, err := os.Stat(filepath.Join(dir, g.output(p))); err != nil {
			return fmt.Errorf("compiling %s: %w", p, err)
		}
	}
	return nil
}

// scratch is a folder for temporary files beside what is being made in dir.
func scratch(dir string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", fmt.Errorf("making a folder for temporary files: %w", err)
	}
	return tmp, nil
}

// lines passes output on to the log and tells the last line.
type lines struct {
	log  *logFile
	tell func(string)
}

func (l lines) Write(p []byte) (int, error) {
	text := bytes.TrimSpace(p)
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if len(text) > 0 {
		l.tell(string(text))
	}
	return l.log.Write(p)
}
