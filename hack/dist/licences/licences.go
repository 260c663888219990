// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package licences

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences, by SPDX identifier, that a binary of ours may be linked from.
// MPL-2.0 asks for the source of its files: the index of a release says where it is.
func allowed() []string {
	return []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}
}

// enough is how many percent of a file must be the text of licences that are known; what
// remains are names, years and headings.
const enough = 75

// Module is a module that is linked into a binary.
type Module struct {
	// Path and Version as the build information has them.
	Path, Version string
	// Dir holds its source.
	Dir string
	// Packages are the folders of its packages that are linked, below Dir.
	Packages []string
}

// Terms are what a module's files say.
type Terms struct {
	// Expression is an SPDX expression; several licences are joined by AND.
	Expression string
	// Files are licences and notices, by path.
	Files []File
}

// File is one licence or notice.
type File struct {
	// Path is relative to the module, with slashes.
	Path string
	Text []byte
}

// Collect reads the licences and notices of a module: those in its root, and those in every
// folder from there to a package that is linked, where copied code keeps its own.
func Collect(m Module) (Terms, error) {
	var terms Terms
	var ids []string
	for _, dir := range folders(m) {
		names, err := list(dir)
		if err != nil {
			return Terms{}, fmt.Errorf("reading the licences of %s: %w", m.Path, err)
		}
		for _, name := range names {
			f, found, err := read(m, filepath.Join(dir, name))
			if err != nil {
				return Terms{}, err
			}
			terms.Files, ids = append(terms.Files, f), append(ids, found...)
		}
	}
	if len(ids) == 0 {
		return Terms{}, fmt.Errorf("%s %s has no licence in %s", m.Path, m.Version, m.Dir)
	}
	slices.Sort(ids)
	terms.Expression = strings.Join(slices.Compact(ids), " AND ")
	return terms, nil
}

// folders are those that may hold licences, the module's own first.
func folders(m Module) []string {
	dirs := []string{m.Dir}
	for _, p := range m.Packages {
		for dir := p; len(dir) > len(m.Dir); dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// Names of files, in any case, whether or not they have an ending; Go source has such names
// too, and documents, which are not linked, have licences of their own.
const (
	documents   = `(?i)[.-]docs?$`
	licenceName = `(?i)^(licen[cs]e|copying|unlicense|copyright)([.-][a-z0-9.-]*)?$`
	noticeName  = `(?i)^(notice|patents)([.-][a-z0-9.-]*)?$`
)

func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	either, other := regexp.MustCompile(licenceName+"|"+noticeName), regexp.MustCompile(documents)
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && either.MatchString(e.Name()) && !other.MatchString(e.Name()) && path.Ext(e.Name()) != ".go" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// read returns a file and the licences that it states; a notice states none.
func read(m Module, file string) (File, []string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return File{}, nil, fmt.Errorf("reading the licences of %s: %w", m.Path, err)
	}
	rel, err := filepath.Rel(m.Dir, file)
	if err != nil {
		return File{}, nil, fmt.Errorf("reading the licences of %s: %w", m.Path, err)
	}
	f := File{Path: filepath.ToSlash(rel), Text: text}
	if !regexp.MustCompile(licenceName).MatchString(filepath.Base(file)) {
		return f, nil, nil
	}
	ids, err := Classify(text)
	if err != nil {
		return File{}, nil, fmt.Errorf("%s %s: %s: %w", m.Path, m.Version, f.Path, err)
	}
	return f, ids, nil
}

// Classify names the licences of a text by their SPDX identifiers. A text that is mostly
// something else, or that has a licence that may not be linked, is an error.
func Classify(text []byte) ([]string, error) {
	cover := licensecheck.Scan(text)
	var ids []string
	for _, match := range cover.Match {
		ids = append(ids, match.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		if !slices.Contains(allowed(), id) {
			return nil, fmt.Errorf("licence %s is not on the list: %s", id, strings.Join(allowed(), ", "))
		}
	}
	if len(ids) == 0 || cover.Percent < enough {
		return nil, fmt.Errorf("only %.0f%% of the text are known licences %v, want %d%%", cover.Percent, ids, enough)
	}
	return ids, nil
}
