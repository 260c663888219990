// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package deptest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Violation is one place that breaks one rule.
type Violation struct {
	// File is relative to the module, with its line when there is one.
	File string
	Line int
	// Message says what is wrong and what to do.
	Message string
}

// String is file:line: message.
func (v Violation) String() string {
	if v.Line == 0 {
		return v.File + ": " + v.Message
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Message)
}

// Tree is a module's source, parsed.
type Tree struct {
	// Module is its path.
	Module   string
	fset     *token.FileSet
	packages map[string][]*file // by folder relative to the module, "" for its root
	broken   []Violation
}

// file is one Go file.
type file struct {
	path   string
	source []byte
	ast    *ast.File
	test   bool
}

// Load parses every Go file of the module in root, but for testdata, hidden folders,
// nested modules and generated files. Files that do not parse are violations, no errors.
func Load(root, module string) (*Tree, error) {
	t := &Tree{Module: module, fset: token.NewFileSet(), packages: map[string][]*file{}}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if rel != "." && skipped(name, e.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		return t.add(name, filepath.ToSlash(rel))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the source tree: %w", err)
	}
	return t, nil
}

func skipped(dir, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) add(name, rel string) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.fset, rel, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, Violation{File: rel, Message: "does not parse: " + err.Error()})
	}
	if parsed == nil || ast.IsGenerated(parsed) {
		return nil
	}
	dir := path.Dir(rel)
	if dir == "." {
		dir = ""
	}
	t.packages[dir] = append(t.packages[dir], &file{path: rel, source: source, ast: parsed, test: strings.HasSuffix(rel, "_test.go")})
	return nil
}

// dirs lists the folders with Go files, in order.
func (t *Tree) dirs() []string {
	var all []string
	for dir := range t.packages {
		all = append(all, dir)
	}
	slices.Sort(all)
	return all
}

// imported is an import and where it stands.
type imported struct {
	path string
	file string
	line int
}

// imports lists what the files of a folder import, tests left out.
func (t *Tree) imports(dir string) []imported {
	var all []imported
	for _, f := range t.packages[dir] {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				all = append(all, imported{path: p, file: f.path, line: t.fset.Position(spec.Pos()).Line})
			}
		}
	}
	return all
}

// local is the folder of an import path of the module.
func (t *Tree) local(importPath string) (string, bool) {
	if importPath == t.Module {
		return "", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// below says whether a path is prefix or lies under it.
func below(p, prefix string) bool {
	return p == prefix || prefix == "" || strings.HasPrefix(p, prefix+"/")
}

func belowAny(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return below(p, prefix) })
}
