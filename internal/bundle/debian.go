// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// rootArchive is what mmdebstrap leaves in its cache folder.
const rootArchive = "root.tar"

// rootfs installs the packages into a new root file system, dir/root.tar. Packages come through the
// host's own mirrors when the host is of the same suite, else from mmdebstrap's default.
func rootfs(ctx context.Context, dir, variant string, packages []string, log *logFile) error {
	args := []string{"--mode=root", "--variant=" + variant, "--include=" + strings.Join(packages, ",")}
	// Translations and documents are a third of the size; copyright files stay.
	for _, p := range []string{"path-exclude=/usr/share/man/*", "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*",
		"path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright"} {
		args = append(args, "--dpkgopt="+p)
	}
	args = append(args, suite, filepath.Join(dir, rootArchive))
	mirrors, err := hostMirrors("/")
	if err != nil {
		return err
	}
	// What a killed mmdebstrap leaves goes with the folder, and its mounts with their namespace.
	tmp, err := scratch(dir)
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(tmp) }()
	err = run.Command{
		Name: "unshare", Stdout: log, Stderr: log,
		Args: slices.Concat([]string{"--mount", "--propagation", "private", "mmdebstrap"}, args, mirrors),
		Env:  []string{"SOURCE_DATE_EPOCH=" + sourceDate, "DEBIAN_FRONTEND=noninteractive", "TMPDIR=" + tmp},
	}.Run(ctx)
	if err != nil {
		return diag.Hint(fmt.Errorf("installing Debian packages: %w", err),
			"the host's own Debian mirror is used: apt-get update must work; the whole output is in the log")
	}
	return nil
}

// hostMirrors returns the host's package sources of the suite as one-line entries, none when the
// host uses another suite. root is / but in tests.
func hostMirrors(root string) ([]string, error) {
	var entries []string
	for _, pattern := range []string{"etc/apt/sources.list", "etc/apt/sources.list.d/*.list", "etc/apt/sources.list.d/*.sources"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, fmt.Errorf("looking for Debian mirrors: %w", err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("looking for Debian mirrors: %w", err)
			}
			if strings.HasSuffix(f, ".sources") {
				entries = append(entries, stanzaMirrors(string(data))...)
			} else {
				entries = append(entries, lineMirrors(string(data))...)
			}
		}
	}
	slices.Sort(entries)
	// Without the suite itself its updates are of no use.
	if !slices.ContainsFunc(entries, func(e string) bool { return strings.Contains(e, " "+suite+" ") }) {
		return nil, nil
	}
	return slices.Compact(entries), nil
}

// lineMirrors reads a sources.list.
func lineMirrors(text string) []string {
	var entries []string
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		options := ""
		if before, rest, ok := strings.Cut(line, "["); ok {
			inner, after, _ := strings.Cut(rest, "]")
			line, options = before+after, "["+strings.TrimSpace(inner)+"] "
		}
		f := strings.Fields(line)
		if len(f) >= 4 && f[0] == "deb" {
			entries = appendMirror(entries, options, f[1], f[2])
		}
	}
	return entries
}

// stanzaMirrors reads a file in the deb822 format.
func stanzaMirrors(text string) []string {
	var entries []string
	for stanza := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n\n") {
		fields := map[string]string{}
		for line := range strings.SplitSeq(stanza, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				fields[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
			}
		}
		if !slices.Contains(strings.Fields(fields["types"]), "deb") || fields["enabled"] == "no" {
			continue
		}
		options := ""
		if key := fields["signed-by"]; strings.HasPrefix(key, "/") {
			options = "[signed-by=" + key + "] "
		}
		for _, uri := range strings.Fields(fields["uris"]) {
			for _, s := range strings.Fields(fields["suites"]) {
				entries = appendMirror(entries, options, uri, s)
			}
		}
	}
	return entries
}

// appendMirror keeps Debian's own archives of the suite; third parties have other suites or paths.
func appendMirror(entries []string, options, uri, of string) []string {
	base := lastElement(strings.TrimRight(uri, "/"))
	ours := of == suite || of == suite+"-updates" || of == suite+"-security"
	if !ours || (base != "debian" && base != "debian-security") {
		return entries
	}
	return append(entries, "deb "+options+uri+" "+of+" main")
}
