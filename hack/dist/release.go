// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/hack/dist/pack"
)

// allPlatforms are the systems that a release is for.
func allPlatforms() []string {
	return []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"}
}

// probePlatforms are those that clusters' nodes have.
func probePlatforms() []string { return []string{"linux/amd64", "linux/arm64"} }

// release is one run.
type release struct {
	source
	// out gets the files of the release, work what they are made from.
	out, work string
	// recipe is the hash of this program: when it changes, everything is packed again.
	recipe string
	// names are the files of the release.
	names []string
}

// open begins a release of this commit in out.
func open(ctx context.Context, out, number string) (*release, error) {
	s, err := findSource(ctx, number)
	if err != nil {
		return nil, err
	}
	r := &release{source: s, out: out, work: filepath.Join(out, ".work")}
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", r.work, err)
	}
	self, err := os.Executable()
	if err == nil {
		r.recipe, err = pack.Sum(self)
	}
	if err != nil {
		return nil, fmt.Errorf("reading this program: %w", err)
	}
	return r, nil
}

// makeProbe makes the probe's image alone and says its name.
func makeProbe(ctx context.Context, out, number string) error {
	r, err := open(ctx, out, number)
	if err != nil {
		return err
	}
	if _, err := r.probe(ctx); err != nil {
		return err
	}
	name, err := os.ReadFile(filepath.Join(out, r.probeBase()+".digest.txt"))
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s", filepath.Join(out, r.probeBase()+".oci.tar"), name)
	return nil
}

// makeRelease makes what is missing or out of date. Programs are linked one after another,
// for each takes a gigabyte of memory.
func makeRelease(ctx context.Context, out, number string, only []string) error {
	r, err := open(ctx, out, number)
	if err != nil {
		return err
	}
	digest, err := r.probe(ctx)
	if err != nil {
		return err
	}
	if err := r.reference(ctx); err != nil {
		return err
	}
	for _, platform := range only {
		if !slices.Contains(allPlatforms(), platform) {
			return fmt.Errorf("platform %s: there are %s", platform, strings.Join(allPlatforms(), ", "))
		}
		if err := r.archive(ctx, platform, digest); err != nil {
			return err
		}
	}
	return r.finish()
}

// finish writes the checksums and removes what earlier releases left.
func (r *release) finish() error {
	sums, err := pack.Checksums(r.out, r.names)
	if err != nil {
		return fmt.Errorf("writing checksums: %w", err)
	}
	const name = "checksums.txt"
	if err := pack.Write(filepath.Join(r.out, name), func(w io.Writer) error { _, err := w.Write(sums); return err }); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(r.out, "meshfed*"))
	if err != nil {
		return err
	}
	for _, f := range found {
		if !slices.Contains(r.names, filepath.Base(f)) {
			if err := os.Remove(f); err != nil {
				return fmt.Errorf("removing an earlier release: %w", err)
			}
		}
	}
	fmt.Printf("%s: meshfed %s of %s, %d files\n%s", r.out, r.number, r.commit, len(r.names)+1, sums)
	return nil
}

// ensure makes a file of the release unless it was made from the same inputs before and has
// not changed since.
func (r *release) ensure(name string, inputs []string, fill func(io.Writer) error) error {
	r.names = append(r.names, name)
	file, stamp := filepath.Join(r.out, name), filepath.Join(r.work, name+".stamp")
	inputs = append([]string{r.recipe, r.number, r.commit, r.when()}, inputs...)
	state := func() string {
		sum, err := pack.Sum(file)
		if err != nil {
			return ""
		}
		return strings.Join(append(inputs, sum), "\n") + "\n"
	}
	if made, err := os.ReadFile(stamp); err == nil && string(made) == state() {
		return nil
	}
	if err := pack.Write(file, fill); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "made", name)
	return pack.Write(stamp, func(w io.Writer) error { _, err := io.WriteString(w, state()); return err })
}
