// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package deptest

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"strconv"
	"strings"
)

// Limits of files and functions outside tests, in lines.
const (
	fileLimit = 500
	funcLimit = 80
)

const header = "// SPDX-FileCopyrightText: The meshfed authors\n// SPDX-License-Identifier: Apache-2.0\n"

// Habits returns every place that breaks a habit of the project: a licence header in each
// file, a doc.go in each package, files and functions of a size to be read, one way to
// wait, and one place to end the process.
func (t *Tree) Habits() []Violation {
	found := append([]Violation(nil), t.broken...)
	for _, dir := range t.dirs() {
		files := t.packages[dir]
		if missing := undocumented(files); missing != "" {
			found = append(found, Violation{File: path.Join(dir, "doc.go"), Message: missing})
		}
		for _, f := range files {
			if !licensed(f.source) {
				found = append(found, Violation{File: f.path, Line: 1, Message: "must begin with the two SPDX lines: " + strings.ReplaceAll(strings.TrimSpace(header), "\n", " ")})
			}
			if !f.test {
				found = append(found, t.size(f)...)
				found = append(found, t.calls(f)...)
			}
		}
	}
	return found
}

// licensed says whether a file begins with the header; a build constraint may come first.
func licensed(source []byte) bool {
	if bytes.HasPrefix(source, []byte("//go:build ")) {
		_, source, _ = bytes.Cut(source, []byte("\n\n"))
	}
	return bytes.HasPrefix(source, []byte(header))
}

// undocumented says what a package lacks: a library needs a doc.go, a program or a folder
// of tests a package comment anywhere.
func undocumented(files []*file) string {
	anywhere := files[0].ast.Name.Name == "main"
	documented, allTests := false, true
	for _, f := range files {
		allTests = allTests && f.test
		if f.ast.Doc != nil && (anywhere || f.test || path.Base(f.path) == "doc.go") {
			documented = true
		}
	}
	switch {
	case documented:
		return ""
	case anywhere || allTests:
		return "the package has no package comment"
	}
	return "the package has no doc.go with a package comment: say what it owns and what it refuses"
}

func (t *Tree) size(f *file) []Violation {
	var found []Violation
	if n := bytes.Count(f.source, []byte("\n")); n > fileLimit {
		found = append(found, Violation{File: f.path, Message: fmt.Sprintf("%d lines, at most %d: split it by what it owns", n, fileLimit)})
	}
	for _, decl := range f.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		first := t.fset.Position(fn.Pos()).Line
		if n := t.fset.Position(fn.End()).Line - first + 1; n > funcLimit {
			found = append(found, Violation{File: f.path, Line: first, Message: fmt.Sprintf("%s has %d lines, at most %d", fn.Name.Name, n, funcLimit)})
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, Violation{File: f.path, Line: first, Message: "no init functions: make it where it is used"})
		}
	}
	return found
}

// calls finds what only main, or only internal/poll, may do.
func (t *Tree) calls(f *file) []Violation {
	isMain := path.Base(f.path) == "main.go" && belowAny(f.path, []string{"cmd", "hack"})
	names := importNames(f.ast)
	var found []Violation
	report := func(n ast.Node, message string) {
		found = append(found, Violation{File: f.path, Line: t.fset.Position(n.Pos()).Line, Message: message})
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			switch called := names[pkg.Name] + "." + n.Sel.Name; {
			case called == "time.Sleep":
				report(n, "time.Sleep: wait with internal/poll, which ends with the context and says what it saw")
			case !isMain && called == "os.Exit",
				!isMain && (strings.HasPrefix(called, "log.Fatal") || strings.HasPrefix(called, "log.Panic")):
				report(n, called+": return an error; only main.go of a program ends the process")
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && fn.Name == "panic" && !isMain {
				report(n, "panic: return an error")
			}
		}
		return true
	})
	return found
}

// importNames maps the names by which a file calls packages to their import paths.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}
