// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Entry is a file in an archive, with either the file on disk that holds it or its content.
type Entry struct {
	// Name has slashes and no leading one.
	Name string
	// Executable files may be run by all; nothing may be written by others.
	Executable bool
	// Path is where the content lies, unless Data has it.
	Path string
	Data []byte
}

// Tar writes the entries in the order of their names, after the folders that they are in.
func Tar(w io.Writer, entries []Entry, modified time.Time) error {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	t := tar.NewWriter(w)
	made := map[string]bool{".": true}
	for _, e := range entries {
		if err := folders(t, path.Dir(e.Name), modified, made); err != nil {
			return fmt.Errorf("packing %s: %w", e.Name, err)
		}
		if err := e.write(t, modified); err != nil {
			return fmt.Errorf("packing %s: %w", e.Name, err)
		}
	}
	return t.Close()
}

func folders(t *tar.Writer, dir string, modified time.Time, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := folders(t, path.Dir(dir), modified, made); err != nil {
		return err
	}
	made[dir] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: modified.UTC(), Format: tar.FormatUSTAR})
}

func (e Entry) write(t *tar.Writer, modified time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Mode: 0o644, Size: int64(len(e.Data)), ModTime: modified.UTC(), Format: tar.FormatUSTAR}
	if e.Executable {
		h.Mode = 0o755
	}
	if e.Path == "" {
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := t.Write(e.Data)
		return err
	}
	f, err := os.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h.Size = info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// Gzip compresses what fill writes, without a name and a time.
func Gzip(w io.Writer, fill func(io.Writer) error) error {
	z := gzip.NewWriter(w)
	if err := fill(z); err != nil {
		return err
	}
	return z.Close()
}

// Folder lists the files below dir as entries below name.
func Folder(dir, name string) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		entries = append(entries, Entry{Name: path.Join(name, filepath.ToSlash(rel)), Path: file})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	return entries, nil
}
