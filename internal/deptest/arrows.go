// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package deptest

import (
	"fmt"
	"strings"
)

// Arrows returns every import that breaks a rule. Imports of tests are free.
func (t *Tree) Arrows(rules []Rule) []Violation {
	var found []Violation
	for _, rule := range rules {
		for _, dir := range t.dirs() {
			if rule.binds(dir) {
				found = append(found, t.walk(rule, dir)...)
			}
		}
	}
	return found
}

func (r Rule) binds(dir string) bool {
	return (len(r.Packages) == 0 || belowAny(dir, r.Packages)) && !belowAny(dir, r.Except)
}

// walk checks the imports of dir and, for a deep rule, of all that dir reaches. The place
// that is named is always an import of dir, for that is what its author can change.
func (t *Tree) walk(rule Rule, dir string) []Violation {
	var found []Violation
	for _, first := range t.imports(dir) {
		if way := t.reach(rule, dir, first.path, map[string]bool{dir: true}); way != nil {
			found = append(found, Violation{File: first.file, Line: first.line,
				Message: fmt.Sprintf("%s must not import %s: %s", shown(dir), strings.Join(way, ", by way of "), rule.Why)})
		}
	}
	return found
}

// reach returns the forbidden import at or behind an import, and the way there backwards.
func (t *Tree) reach(rule Rule, from, importPath string, seen map[string]bool) []string {
	dir, ours := t.local(importPath)
	if rule.forbids(from, importPath, dir, ours) {
		return []string{importPath}
	}
	if !rule.Deep || !ours || seen[dir] {
		return nil
	}
	seen[dir] = true
	for _, next := range t.imports(dir) {
		if way := t.reach(rule, from, next.path, seen); way != nil {
			return append(way, shown(dir))
		}
	}
	return nil
}

func (r Rule) forbids(from, importPath, dir string, ours bool) bool {
	if ours {
		importPath = dir
		// A package's own subpackages are its own business.
		if below(dir, from) && from != "" {
			return false
		}
	}
	if belowAny(importPath, r.Allow) {
		return false
	}
	for _, f := range r.Forbid {
		switch {
		case f == Ours && ours:
			return true
		case f == External && !ours:
			// Only paths outside the standard library have a dot in their first element.
			if first, _, _ := strings.Cut(importPath, "/"); strings.Contains(first, ".") {
				return true
			}
		case below(importPath, f):
			return true
		}
	}
	return false
}

func shown(dir string) string {
	if dir == "" {
		return "the module's root"
	}
	return dir
}
