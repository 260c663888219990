// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/meshfed/meshfed/internal/diag"
)

// ensure makes the folder and a folder inside it, 0700, and takes rights of others away.
func (d Dir) ensure(inside string) error {
	path := filepath.Join(d.Path, inside)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return explain(err, d.Path)
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return explain(err, d.Path)
		}
		if info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(dir, 0o700); err != nil {
				return explain(fmt.Errorf("closing it to other users: %w", err), d.Path)
			}
		}
		if dir == d.Path {
			return nil
		}
	}
}

// write replaces a file of the folder: a reader sees the old or the new content, also
// after a power cut. The file is 0600.
func (d Dir) write(name string, data []byte) error {
	path := filepath.Join(d.Path, name)
	err := d.ensure(filepath.Dir(name))
	if err == nil {
		err = replace(path, data)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, explain(err, d.Path))
	}
	return nil
}

func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last. Some file systems can not sync a folder; they need not.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// explain adds what to do about a disk that is full or a folder that can not be written.
func explain(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diag.Hint(err, "free some space (df -h "+existing(dir)+"), or choose another folder with --state-dir")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return diag.Hint(err, "make "+dir+" writable for you (ls -ld "+existing(dir)+"), or choose another folder with --state-dir")
	}
	return err
}

// existing is the nearest folder above path that is there, for commands in hints.
func existing(path string) string {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}
