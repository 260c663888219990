// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/hack/dist/pack"
	"github.com/meshfed/meshfed/hack/dist/sbom"
	"github.com/meshfed/meshfed/internal/run"
)

// thirdParty is the folder of an archive that holds the licences of what is linked in.
const thirdParty = "third-party-licences"

// reference writes manual pages and completions, which are the same for all platforms.
func (r *release) reference(ctx context.Context) error {
	program := filepath.Join(r.work, "reference")
	if err := r.compile(ctx, host, "./hack/reference", program, nil); err != nil {
		return err
	}
	dir := r.referenceDir()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing earlier manual pages: %w", err)
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	// No folder of the user may show in a text.
	return run.Command{Name: program, Args: []string{"-out", dir, "-version", r.number, "-date", r.when()},
		Env: []string{"HOME=/nonexistent", "XDG_STATE_HOME=", "XDG_CACHE_HOME="}}.Run(ctx)
}

func (r *release) referenceDir() string { return filepath.Join(r.work, "share") }

// archive makes the archive and the component list of one platform.
func (r *release) archive(ctx context.Context, platform, probeDigest string) error {
	const pkg = "./cmd/meshfed"
	base := "meshfed_" + r.number + "_" + strings.ReplaceAll(platform, "/", "_")
	file := filepath.Join(r.work, base)
	err := r.compile(ctx, platform, pkg, file, map[string]string{
		"number": r.number, "commit": r.commit, "date": r.when(), "probeDigest": probeDigest,
	})
	if err != nil {
		return err
	}
	p, err := r.describe(ctx, "meshfed", platform, pkg, file)
	if err != nil {
		return err
	}
	if err := r.components(base, p); err != nil {
		return err
	}
	entries, err := r.entries(base, p)
	if err != nil {
		return err
	}
	inputs, err := identify(entries)
	if err != nil {
		return err
	}
	return r.ensure(base+".tar.gz", inputs, func(w io.Writer) error {
		return pack.Gzip(w, func(w io.Writer) error { return pack.Tar(w, entries, r.date) })
	})
}

// components writes the list of what a program is made of.
func (r *release) components(base string, p *program) error {
	var b bytes.Buffer
	if err := sbom.Write(&b, p.Binary); err != nil {
		return err
	}
	return r.ensure(base+".cdx.json", []string{p.sum}, func(w io.Writer) error { _, err := b.WriteTo(w); return err })
}

// entries lists an archive.
func (r *release) entries(base string, p *program) ([]pack.Entry, error) {
	entries := []pack.Entry{
		{Name: path.Join(base, "meshfed"), Path: p.file, Executable: true},
		{Name: path.Join(base, "LICENSE"), Path: "LICENSE"},
		{Name: path.Join(base, "README.md"), Path: "README.md"},
	}
	share, err := pack.Folder(r.referenceDir(), base)
	if err != nil {
		return nil, err
	}
	return slices.Concat(entries, share, p.licences(path.Join(base, thirdParty))), nil
}

// licences are all terms as files below dir, with a list of them.
func (p *program) licences(dir string) []pack.Entry {
	var entries []pack.Entry
	versions := map[string]string{sbom.Standard: p.Build.GoVersion}
	for _, d := range p.Build.Deps {
		versions[d.Path] = d.Version
	}
	var list strings.Builder
	fmt.Fprintf(&list, "What %s is linked from, and under which licences. Every Go module proxy serves the source\n"+
		"of a module as <proxy>/<module>/@v/<version>.zip.\n\n", p.name)
	for _, m := range sortedKeys(versions) {
		fmt.Fprintf(&list, "%s %s: %s\n", m, versions[m], p.Licences[m])
		for _, f := range p.terms[m].Files {
			entries = append(entries, pack.Entry{Name: path.Join(dir, m, f.Path), Data: f.Text})
		}
	}
	return append(entries, pack.Entry{Name: path.Join(dir, "LIST.txt"), Data: []byte(list.String())})
}

// identify returns what an archive is made from, as text.
func identify(entries []pack.Entry) ([]string, error) {
	var inputs []string
	for _, e := range entries {
		sum, err := e.Sum()
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, fmt.Sprintf("%s %t %s", e.Name, e.Executable, sum))
	}
	return inputs, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
