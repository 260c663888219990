// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// dropped lists what no image needs of a Debian root: device nodes (engines make their own and
// restricted hosts forbid them), Perl (only package installation needs it), caches and logs.
func dropped() []string {
	return []string{
		"dev/*", "var/cache/*", "var/log/*", "var/lib/apt/*", "var/lib/dpkg/info/*", "tmp/*", "run/*",
		"usr/bin/perl*", "usr/lib/x86_64-linux-gnu/perl*", "usr/share/perl*", "usr/share/perl/*", "usr/lib/x86_64-linux-gnu/libperl*",
		"usr/share/bash-completion/*", "usr/share/zoneinfo/*", "usr/share/lintian/*", "usr/share/common-licenses/*",
		"etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/apt/sources.list",
	}
}

// droppedFromNode lists the units that kind's own node image goes without: they slow the start
// down, or need what a container does not have.
func droppedFromNode() []string {
	return append(dropped(),
		"usr/lib/systemd/system/multi-user.target.wants/*", "etc/systemd/system/*.wants/*",
		"usr/lib/systemd/system/local-fs.target.wants/*", "usr/lib/systemd/system/sockets.target.wants/*udev*",
		"usr/lib/systemd/system/sockets.target.wants/*initctl*", "usr/lib/systemd/system/basic.target.wants/*",
		"usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
	)
}

// writeRoot copies a root file system into a layer, without what drop matches and without times.
func writeRoot(archive string, drop []string) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		return eachInRoot(archive, func(h *tar.Header, r io.Reader) error {
			if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock || matches(drop, h.Name) {
				return nil
			}
			h.ModTime, h.AccessTime, h.ChangeTime = epoch(), epoch(), epoch()
			h.Format, h.PAXRecords, h.Uname, h.Gname = tar.FormatPAX, extended(h.PAXRecords), "", ""
			h.Linkname = linkName(h)
			if h.Typeflag == tar.TypeDir {
				h.Name += "/"
			}
			if err := w.WriteHeader(h); err != nil {
				return err
			}
			_, err := io.Copy(w, r)
			return err
		})
	}
}

// eachInRoot visits every entry of an archive but its root; names have neither ./ nor a slash at the end.
func eachInRoot(archive string, visit func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("reading a root file system: %w", err)
	}
	defer f.Close()
	for r := tar.NewReader(bufio.NewReaderSize(f, 1<<20)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a root file system: %w", err)
		}
		h.Name = strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Name == "" {
			continue
		}
		if err := visit(h, r); err != nil {
			return fmt.Errorf("copying /%s: %w", h.Name, err)
		}
	}
}

// linkName is the target of a link: hard links name an entry of the same archive.
func linkName(h *tar.Header) string {
	if h.Typeflag != tar.TypeLink {
		return h.Linkname
	}
	return strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
}

// extended keeps what an archive says beyond the plain header: file capabilities and the like.
func extended(records map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range records {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			kept[k] = v
		}
	}
	return kept
}

// matches reports whether name or a folder above it matches one of the patterns.
func matches(patterns []string, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		for _, p := range patterns {
			if ok, _ := path.Match(p, name); ok {
				return true
			}
		}
	}
	return false
}

// installed reads the packages and their versions from a root file system.
func installed(archive string) ([]Package, error) {
	var found []Package
	err := eachInRoot(archive, func(h *tar.Header, r io.Reader) error {
		if h.Name != "var/lib/dpkg/status" {
			return nil
		}
		var p Package
		for s := bufio.NewScanner(r); s.Scan(); {
			if name, ok := strings.CutPrefix(s.Text(), "Package: "); ok {
				p.Name = name
			} else if version, ok := strings.CutPrefix(s.Text(), "Version: "); ok {
				p.Version = version
				found = append(found, p)
			}
		}
		return nil
	})
	return found, err
}
