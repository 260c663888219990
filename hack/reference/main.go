// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

// Command reference writes the manual pages and shell completions of meshfed, for a release.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/meshfed/meshfed/cmd/meshfed/cli"
)

func main() {
	out := flag.String("out", "", "folder that gets man/man1 and completions")
	version := flag.String("version", "", "release that the manual pages name")
	date := flag.String("date", "", "date of the manual pages, RFC 3339")
	flag.Parse()
	if err := write(*out, *version, *date); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(out, version, date string) error {
	if out == "" {
		return fmt.Errorf("-out is missing")
	}
	day, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return fmt.Errorf("reading -date: %w", err)
	}
	root := cli.Tree()
	if err := manual(root, filepath.Join(out, "man", "man1"), version, day.UTC()); err != nil {
		return fmt.Errorf("writing manual pages: %w", err)
	}
	if err := completions(root, filepath.Join(out, "completions")); err != nil {
		return fmt.Errorf("writing completions: %w", err)
	}
	return nil
}

// manual writes a page for each command that is not hidden.
func manual(root *cobra.Command, dir, version string, day time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root.DisableAutoGenTag = true // it is the date once more
	return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
		Path: dir, CommandSeparator: "-",
		Header: &doc.GenManHeader{Section: "1", Date: &day, Source: "meshfed " + version, Manual: "meshfed"},
	})
}

// completions writes a script for each shell under the name by which the shell finds it.
func completions(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, generate := range map[string]func(io.Writer) error{
		"meshfed.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_meshfed":     root.GenZshCompletion,
		"meshfed.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"meshfed.ps1":  root.GenPowerShellCompletionWithDesc,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := generate(f); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
