// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	mod "golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/meshfed/meshfed/hack/dist/pack"
	"github.com/meshfed/meshfed/internal/run"
)

// checkInstall does what `go install` of a released version will do: it packs the commit as a
// module proxy would, with the rules of module archives, serves it from a folder, installs the
// program from there and asks it for its version. Everything else comes from the module cache:
// not every proxy answers as it should when it is asked for modules that there are not.
func checkInstall(ctx context.Context) (err error) {
	s, err := findSource(ctx, "")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "meshfed-install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := writeProxy(ctx, filepath.Join(dir, "proxy"), s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget(ctx, m)) }()
	// The cache gets what is missing in it.
	if _, err := listModules(ctx, host, "./cmd/meshfed"); err != nil {
		return err
	}
	cache, err := run.Command{Name: "go", Args: []string{"env", "GOMODCACHE"}}.Output(ctx)
	if err != nil {
		return err
	}
	env := append(goEnv(host), "GOBIN="+dir, "GONOSUMDB="+m.Path,
		"GOPROXY=file://"+filepath.ToSlash(filepath.Join(dir, "proxy"))+",file://"+filepath.ToSlash(filepath.Join(cache, "cache", "download")))
	target := m.Path + "/cmd/meshfed@" + m.Version
	// Outside of the checkout, where no go.mod helps.
	if err := (run.Command{Name: "go", Args: []string{"install", "-trimpath", target}, Env: env, Dir: dir}).Run(ctx); err != nil {
		return fmt.Errorf("installing %s: %w", target, err)
	}
	out, err := run.Command{Name: filepath.Join(dir, "meshfed"), Args: []string{"version", "-o", "json"}}.Output(ctx)
	if err != nil {
		return err
	}
	var said struct{ Version, Commit, Date string }
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		return fmt.Errorf("reading what meshfed version says: %w", err)
	}
	commit, _ := mod.PseudoVersionRev(m.Version)
	if said.Version != strings.TrimPrefix(m.Version, "v") || said.Commit != commit || said.Date != s.when() {
		return fmt.Errorf("installed %s of %s, but it says %+v", target, s.when(), said)
	}
	fmt.Printf("go install %s: meshfed %s (%s, %s)\n", target, said.Version, said.Commit, said.Date)
	return nil
}

// writeProxy makes a module proxy in a folder that has this commit.
func writeProxy(ctx context.Context, dir string, s source) (mod.Version, error) {
	root, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return mod.Version{}, err
	}
	file, err := git(ctx, "show", "HEAD:go.mod")
	if err != nil {
		return mod.Version{}, err
	}
	parsed, err := modfile.Parse("go.mod", []byte(file), nil)
	if err != nil {
		return mod.Version{}, err
	}
	if len(parsed.Replace)+len(parsed.Exclude) > 0 {
		return mod.Version{}, errors.New("go.mod has replace or exclude directives, which `go install` refuses")
	}
	m := mod.Version{Path: parsed.Module.Mod.Path, Version: mod.PseudoVersion("v0", "", s.date, s.commit[:12])}
	versions := filepath.Join(dir, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return mod.Version{}, err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{m.Version, s.date})
	if err != nil {
		return mod.Version{}, err
	}
	describe := func(w io.Writer) error { _, err := w.Write(info); return err }
	for name, fill := range map[string]func(io.Writer) error{
		"list":              func(io.Writer) error { return nil }, // of releases; a commit is none
		"../@latest":        describe,
		m.Version + ".info": describe,
		m.Version + ".mod":  func(w io.Writer) error { _, err := io.WriteString(w, file+"\n"); return err },
		m.Version + ".zip":  func(w io.Writer) error { return zip.CreateFromVCS(w, m, root, "HEAD", "") },
	} {
		if err := pack.Write(filepath.Join(versions, name), fill); err != nil {
			return mod.Version{}, err
		}
	}
	return m, nil
}

// forget removes the module from the cache, so that the next commit with this name is not
// taken for it.
func forget(ctx context.Context, m mod.Version) error {
	cache, err := run.Command{Name: "go", Args: []string{"env", "GOMODCACHE"}}.Output(ctx)
	if err != nil {
		return err
	}
	tree := filepath.Join(cache, filepath.FromSlash(m.Path)+"@"+m.Version)
	err = filepath.WalkDir(tree, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o755)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(m.Path), "@v", m.Version+".*"))
	if err != nil {
		return err
	}
	errs := []error{os.RemoveAll(tree)}
	// The list of releases is a copy that the Go command fetches again.
	for _, f := range append(files, filepath.Join(cache, "cache", "download", filepath.FromSlash(m.Path), "@v", "list")) {
		errs = append(errs, os.RemoveAll(f))
	}
	return errors.Join(errs...)
}
