// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// inode tells files of one disk apart.
type inode struct{ dev, ino uint64 }

// writeAsIs copies a file, folder or link into an archive with its owner, mode and extended
// attributes; a second name of the same file becomes a hard link. Only the times go.
func writeAsIs(w *tar.Writer, file, name string, seen map[inode]string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&os.ModeSymlink != 0 {
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.ModTime, h.AccessTime, h.ChangeTime = name, epoch(), epoch(), epoch()
	h.Uname, h.Gname, h.Format = "", "", tar.FormatPAX
	if info.IsDir() {
		h.Name += "/"
	}
	if h.PAXRecords, err = attributes(file, info); err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && s.Nlink > 1 {
		id := inode{uint64(s.Dev), s.Ino}
		if first, ok := seen[id]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return w.WriteHeader(h)
		}
		seen[id] = name
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// attributes returns the extended attributes of files and folders as archives keep them. A file
// that hides another one, as overlays have it, would need more than that; component images are
// made so that there is none.
func attributes(file string, info os.FileInfo) (map[string]string, error) {
	if info.Mode()&os.ModeCharDevice != 0 {
		return nil, fmt.Errorf("%s hides a file of a lower layer", file)
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return nil, nil
	}
	names := make([]byte, 4096)
	n, err := unix.Llistxattr(file, names)
	if errors.Is(err, unix.ENOTSUP) || (err == nil && n == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing attributes: %w", err)
	}
	records := map[string]string{}
	for _, name := range splitZero(names[:n]) {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return nil, fmt.Errorf("reading attribute %s: %w", name, err)
		}
		records["SCHILY.xattr."+name] = string(value[:n])
	}
	return records, nil
}

func splitZero(b []byte) []string {
	var words []string
	for start, i := 0, 0; i < len(b); i++ {
		if b[i] == 0 {
			words, start = append(words, string(b[start:i])), i+1
		}
	}
	return words
}
