// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/hack/dist/licences"
	"github.com/meshfed/meshfed/hack/dist/pack"
	"github.com/meshfed/meshfed/hack/dist/sbom"
	"github.com/meshfed/meshfed/internal/run"
)

const (
	versionPackage = "github.com/meshfed/meshfed/internal/version"
	// host stands for the system that this runs on.
	host = ""
)

// goEnv is the environment of the Go command for a platform: what a user has set must not
// change a release.
func goEnv(platform string) []string {
	env := []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0"}
	if system, arch, ok := strings.Cut(platform, "/"); ok {
		env = append(env, "GOOS="+system, "GOARCH="+arch)
	}
	return env
}

// compile links a package's program to file; the Go command leaves it alone when it is current.
func (r *release) compile(ctx context.Context, platform, pkg, file string, variables map[string]string) error {
	ldflags := "-s -w"
	for _, name := range sortedKeys(variables) {
		ldflags += " -X " + versionPackage + "." + name + "=" + variables[name]
	}
	err := run.Command{
		Name: "go", Args: []string{"build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", ldflags, "-o", file, pkg},
		Env: goEnv(platform), Stderr: os.Stderr,
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("compiling %s for %s: %w", pkg, platform, err)
	}
	return nil
}

// program is a linked program with all that a release says about it.
type program struct {
	name string
	file string
	sum  string
	sbom.Binary
	// terms by module path.
	terms map[string]licences.Terms
}

// describe reads what a program was linked from, and under which terms.
func (r *release) describe(ctx context.Context, name, platform, pkg, file string) (*program, error) {
	build, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the build information of %s: %w", file, err)
	}
	sum, err := pack.Sum(file)
	if err != nil {
		return nil, err
	}
	modules, err := listModules(ctx, platform, pkg)
	if err != nil {
		return nil, err
	}
	p := &program{name: name, file: file, sum: sum, terms: map[string]licences.Terms{}}
	p.Binary = sbom.Binary{Name: name, Version: r.number, SHA256: sum, Build: build, Licences: map[string]string{}, Needs: map[string][]string{}}
	if err := p.agree(modules); err != nil {
		return nil, err
	}
	var errs []error
	for _, m := range modules {
		terms, err := licences.Collect(m.Module)
		errs = append(errs, err)
		p.terms[m.Path], p.Licences[m.Path], p.Needs[m.Path] = terms, terms.Expression, m.needs
	}
	return p, errors.Join(errs...)
}

// agree compares the modules of a program's packages with those that the compiler wrote into
// the program: nothing may be missing from a list of licences.
func (p *program) agree(modules map[string]*module) error {
	linked := map[string]string{p.Build.Main.Path: "", sbom.Standard: ""}
	for _, d := range p.Build.Deps {
		linked[d.Path] = d.Version
	}
	for path, m := range modules {
		if v, ok := linked[path]; !ok || v != m.Version {
			return fmt.Errorf("%s: module %s %s was listed, the program has %q", p.name, path, m.Version, v)
		}
		delete(linked, path)
	}
	if len(linked) > 0 {
		return fmt.Errorf("%s: the program has modules that were not listed: %s", p.name, strings.Join(sortedKeys(linked), ", "))
	}
	return nil
}

// module is a linked module with the modules that it imports packages of.
type module struct {
	licences.Module
	needs []string
}

// listModules asks the Go command for the packages of a program, and groups them by module.
func listModules(ctx context.Context, platform, pkg string) (map[string]*module, error) {
	out, err := run.Command{
		Name: "go", Args: []string{"list", "-deps", "-trimpath", "-mod=readonly", "-json=ImportPath,Dir,Imports,ImportMap,Standard,Module", pkg}, Env: goEnv(platform),
	}.Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the packages of %s: %w", pkg, err)
	}
	root, err := run.Command{Name: "go", Args: []string{"env", "GOROOT"}, Env: goEnv(platform)}.Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for Go's own folder: %w", err)
	}
	return groupModules(strings.NewReader(out), root)
}

// groupModules reads what `go list -deps -json` says, packages after what they import.
func groupModules(listed io.Reader, root string) (map[string]*module, error) {
	modules, owner := map[string]*module{}, map[string]string{}
	for d := json.NewDecoder(listed); ; {
		var p struct {
			ImportPath, Dir string
			Imports         []string
			ImportMap       map[string]string
			Standard        bool
			Module          *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return modules, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the list of packages: %w", err)
		}
		m := licences.Module{Path: sbom.Standard, Dir: root}
		switch {
		case p.Module != nil:
			m = licences.Module{Path: p.Module.Path, Version: p.Module.Version, Dir: p.Module.Dir}
		case !p.Standard:
			return nil, fmt.Errorf("package %s belongs to no module", p.ImportPath)
		}
		owner[p.ImportPath] = m.Path
		if modules[m.Path] == nil {
			modules[m.Path] = &module{Module: m}
		}
		mine := modules[m.Path]
		// Go's own folders below its root have no licences of what is linked: the one in
		// crypto/internal/boring is that of an object file which these builds leave out.
		if rel, err := filepath.Rel(mine.Dir, p.Dir); err == nil && !strings.HasPrefix(rel, "..") && !p.Standard {
			mine.Packages = append(mine.Packages, p.Dir)
		}
		for _, i := range p.Imports {
			if mapped := p.ImportMap[i]; mapped != "" {
				i = mapped
			}
			if o := owner[i]; o != "" && o != mine.Path && !slices.Contains(mine.needs, o) {
				mine.needs = append(mine.needs, o)
			}
		}
	}
}
