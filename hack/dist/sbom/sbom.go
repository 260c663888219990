// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// Standard is the name of Go's own library among modules.
const Standard = "std"

// Binary is what is known of a program.
type Binary struct {
	// Name and Version of the release.
	Name, Version string
	// SHA256 of the file, in hexadecimal digits.
	SHA256 string
	// Build is what the compiler left in it.
	Build *debug.BuildInfo
	// Licences are SPDX expressions by module path, Standard and the program's own among them.
	Licences map[string]string
	// Needs are the modules that a module imports packages of, by path.
	Needs map[string][]string
}

// Write writes the list as JSON.
func Write(w io.Writer, b Binary) error {
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = serial(b)
	main, err := b.program()
	if err != nil {
		return err
	}
	bom.Metadata = &cyclonedx.Metadata{Component: &main}
	refs := map[string]string{b.Build.Main.Path: main.BOMRef}
	var components []cyclonedx.Component
	for _, m := range append(slices.Clone(b.Build.Deps), b.standard()) {
		c, err := b.library(m)
		if err != nil {
			return err
		}
		refs[m.Path] = c.BOMRef
		components = append(components, c)
	}
	slices.SortFunc(components, func(x, y cyclonedx.Component) int { return cmp.Compare(x.BOMRef, y.BOMRef) })
	bom.Components = &components
	if bom.Dependencies, err = b.dependencies(refs); err != nil {
		return err
	}
	e := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := e.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return fmt.Errorf("writing the SBOM of %s: %w", b.Name, err)
	}
	return nil
}

// serial is a UUID made from the binary's content: another binary has another one.
func serial(b Binary) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://"+b.Build.Path+"@"+b.Version+"?sha256="+b.SHA256)).URN()
}

// standard is Go's library as a module; its release is the compiler's.
func (b Binary) standard() *debug.Module {
	return &debug.Module{Path: Standard, Version: strings.TrimPrefix(b.Build.GoVersion, "go")}
}

// program is the binary itself.
func (b Binary) program() (cyclonedx.Component, error) {
	licences, err := b.licences(b.Build.Main.Path)
	if err != nil {
		return cyclonedx.Component{}, err
	}
	platform := map[string]string{}
	for _, s := range b.Build.Settings {
		platform[s.Key] = s.Value
	}
	purl := fmt.Sprintf("%s?goarch=%s&goos=%s#%s", purl(b.Build.Main.Path, "v"+b.Version), platform["GOARCH"], platform["GOOS"],
		strings.TrimPrefix(b.Build.Path, b.Build.Main.Path+"/"))
	properties := []cyclonedx.Property{{Name: "meshfed:go", Value: b.Build.GoVersion}}
	for _, key := range []string{"GOOS", "GOARCH", "GOAMD64", "GOARM64", "CGO_ENABLED"} {
		if v, ok := platform[key]; ok {
			properties = append(properties, cyclonedx.Property{Name: "meshfed:" + key, Value: v})
		}
	}
	return cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeApplication, Name: b.Name, Version: b.Version, PackageURL: purl, Licenses: licences,
		Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: b.SHA256}},
		Properties: &properties,
	}, nil
}

// library is a module that is linked in.
func (b Binary) library(m *debug.Module) (cyclonedx.Component, error) {
	if m.Replace != nil {
		return cyclonedx.Component{}, fmt.Errorf("module %s is replaced by %s: a release is built from published modules", m.Path, m.Replace.Path)
	}
	licences, err := b.licences(m.Path)
	if err != nil {
		return cyclonedx.Component{}, err
	}
	ref := purl(m.Path, m.Version)
	c := cyclonedx.Component{
		BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: ref,
		Scope: cyclonedx.ScopeRequired, Licenses: licences,
	}
	if m.Path == Standard {
		return c, nil
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
	if err != nil || len(sum) == 0 {
		return cyclonedx.Component{}, fmt.Errorf("module %s has the checksum %q, want h1:<base64>", m.Path, m.Sum)
	}
	c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	return c, nil
}

func (b Binary) licences(module string) (*cyclonedx.Licenses, error) {
	expression := b.Licences[module]
	if expression == "" {
		return nil, fmt.Errorf("nobody knows the licence of module %s", module)
	}
	if strings.Contains(expression, " ") {
		return &cyclonedx.Licenses{{Expression: expression}}, nil
	}
	return &cyclonedx.Licenses{{License: &cyclonedx.License{ID: expression}}}, nil
}

// dependencies are the arrows between components.
func (b Binary) dependencies(refs map[string]string) (*[]cyclonedx.Dependency, error) {
	var list []cyclonedx.Dependency
	for module, ref := range refs {
		var needs []string
		for _, n := range b.Needs[module] {
			if refs[n] == "" {
				return nil, fmt.Errorf("%s needs %s, which is not in the binary", module, n)
			}
			needs = append(needs, refs[n])
		}
		slices.Sort(needs)
		d := cyclonedx.Dependency{Ref: ref}
		if len(needs) > 0 {
			d.Dependencies = &needs
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(x, y cyclonedx.Dependency) int { return cmp.Compare(x.Ref, y.Ref) })
	return &list, nil
}

// purl is the package URL of a Go module; the specification wants it in lower case.
func purl(module, version string) string {
	return "pkg:golang/" + strings.ToLower(module) + "@" + strings.ReplaceAll(version, "+", "%2B")
}
