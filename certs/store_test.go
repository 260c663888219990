// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
)

func newStore(t *testing.T) certs.Store {
	t.Helper()
	return certs.Store{Dir: filepath.Join(t.TempDir(), "usmesh", "pki")}
}

func files(t *testing.T, s certs.Store) string {
	t.Helper()
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "no folder"
	}
	must(t, err)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		names = append(names, e.Name()+" "+info.Mode().String())
	}
	return strings.Join(names, ", ")
}

func TestStoreKeepsARoot(t *testing.T) {
	t.Parallel()
	s, r := newStore(t), newRoot(t)
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, certs.ErrHalf) {
		t.Errorf("before there is one: %v", err)
	}
	if got := files(t, s); got != "no folder" {
		t.Errorf("loading left %s", got)
	}
	must(t, s.Create(r))
	if got := files(t, s); got != "root.key -rw-------, root.pem -rw-------" {
		t.Errorf("the folder holds %s", got)
	}
	if info, err := os.Stat(s.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
	back, err := s.Load()
	must(t, err)
	if !back.Certificate.Equal(r.Certificate) {
		t.Error("another certificate came back")
	}
	must(t, newCACerts(t, back, "west").Check(now()))
}

func TestStoreNeverOverwrites(t *testing.T) {
	t.Parallel()
	s, r := newStore(t), newRoot(t)
	must(t, s.Create(r))
	before := read(t, s, "root.key")
	if err := s.Create(newRoot(t)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if read(t, s, "root.key") != before {
		t.Error("the key was replaced")
	}
}

func TestStoreCreatesOnceAmongMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	roots := make([]*certs.Root, 8)
	for i := range roots {
		roots[i] = newRoot(t)
	}
	var wg sync.WaitGroup
	var made atomic.Int32
	for _, r := range roots {
		wg.Go(func() {
			if s.Create(r) == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d were made", made.Load())
	}
	if _, err := s.Load(); err != nil {
		t.Errorf("the one that was made is damaged: %v", err)
	}
}

func TestHalfARootIsNamedAndNeverMadeAgain(t *testing.T) {
	t.Parallel()
	for gone, hint := range map[string]string{"root.pem": "rm %/root.key", "root.key": "backup"} {
		t.Run(gone, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			must(t, s.Create(newRoot(t)))
			must(t, os.Remove(filepath.Join(s.Dir, gone)))
			before := files(t, s)
			_, loadErr := s.Load()
			for _, err := range []error{loadErr, s.Create(newRoot(t))} {
				if !errors.Is(err, certs.ErrHalf) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), gone+" is not") {
					t.Errorf("got %v", err)
				}
				if hints := strings.Join(diag.Hints(err), "\n"); !strings.Contains(hints, strings.ReplaceAll(hint, "%", s.Dir)) {
					t.Errorf("hints %q", hints)
				}
			}
			if got := files(t, s); got != before {
				t.Errorf("before %s, after %s", before, got)
			}
		})
	}
}

func TestStoreRefusesOpenFiles(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, path string
		mode       fs.FileMode
		fix        string
	}{
		{"key for the group", "root.key", 0o640, "chmod 600 "},
		{"key for all", "root.key", 0o604, "chmod 600 "},
		{"folder for all", "", 0o755, "chmod 700 "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			must(t, s.Create(newRoot(t)))
			path := filepath.Join(s.Dir, c.path)
			must(t, os.Chmod(path, c.mode))
			_, err := s.Load()
			if err == nil || strings.Join(diag.Hints(err), "") != c.fix+path {
				t.Errorf("got %v with hints %q", err, diag.Hints(err))
			}
		})
	}
}

func TestStoreRefusesWhatIsNoRoot(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	ca := newCACerts(t, root, "west")
	key := func(r *certs.Root) string {
		s := newStore(t)
		must(t, s.Create(r))
		return read(t, s, "root.key")
	}
	rootPEM, rootKey := string(certs.EncodeCertificates(root.Certificate)), key(root)
	cases := []struct{ name, cert, key, want string }{
		{"another key", rootPEM, key(newRoot(t)), "the key is not that of the certificate"},
		{"an intermediate", string(ca.CACert), string(ca.CAKey), "is no root"},
		{"a cut-off certificate", rootPEM[:90], rootKey, "cut off"},
		{"a cut-off key", rootPEM, rootKey[:90], "cut off"},
		{"an empty key", rootPEM, "", "no whole PEM"},
		{"two certificates", rootPEM + rootPEM, rootKey, "2 where one belongs"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			must(t, os.MkdirAll(s.Dir, 0o700))
			must(t, os.WriteFile(filepath.Join(s.Dir, "root.pem"), []byte(c.cert), 0o600))
			must(t, os.WriteFile(filepath.Join(s.Dir, "root.key"), []byte(c.key), 0o600))
			if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), s.Dir) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	s := newStore(t)
	if err := s.Create(&certs.Root{Certificate: root.Certificate, Key: newRoot(t).Key}); err == nil || files(t, s) != "no folder" {
		t.Errorf("a pair that does not fit: %v, %s", err, files(t, s))
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, s.Delete())
	must(t, s.Create(newRoot(t)))
	// What a killed Create leaves holds the key, too.
	must(t, os.WriteFile(filepath.Join(s.Dir, ".root.123"), []byte("key"), 0o600))
	must(t, s.Delete())
	must(t, s.Delete())
	if got := files(t, s); got != "no folder" {
		t.Errorf("left %s", got)
	}
	must(t, s.Create(newRoot(t)))
	must(t, os.WriteFile(filepath.Join(s.Dir, "notes"), nil, 0o600))
	must(t, s.Delete())
	if got := files(t, s); got != "notes -rw-------" {
		t.Errorf("left %s", got)
	}
}

func read(t *testing.T, s certs.Store, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, file))
	must(t, err)
	return string(data)
}
