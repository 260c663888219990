// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	rootCertFile = "root.pem"
	rootKeyFile  = "root.key"
	// stagePrefix begins the names of files that are being written.
	stagePrefix = ".root."
)

// ErrHalf is what errors.Is finds when one file of the pair is there and the other is not.
var ErrHalf = errors.New("half a root")

// Store keeps a root on disk: root.pem and root.key, 0600, in a folder that is 0700.
type Store struct {
	// Dir is the folder.
	Dir string
}

// Load reads the root. When neither file exists the error wraps fs.ErrNotExist; when one
// of them does, ErrHalf: it is for a person to decide, and never made again silently.
// Files that other users can read are refused. Load writes nothing.
func (s Store) Load() (*Root, error) {
	r, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("reading the root in %s: %w", s.Dir, err)
	}
	return r, nil
}

func (s Store) load() (*Root, error) {
	if err := s.whole(); err != nil {
		return nil, err
	}
	if err := private(s.Dir, "700"); err != nil {
		return nil, err
	}
	if err := private(s.path(rootKeyFile), "600"); err != nil {
		return nil, err
	}
	certPEM, err := os.ReadFile(s.path(rootCertFile))
	if err != nil {
		return nil, readable(err, s.path(rootCertFile))
	}
	keyPEM, err := os.ReadFile(s.path(rootKeyFile))
	if err != nil {
		return nil, readable(err, s.path(rootKeyFile))
	}
	return ParseRoot(certPEM, keyPEM)
}

// ParseRoot reads a root from the PEM of its certificate and key, and refuses a pair that
// does not fit and a certificate that is no root.
func ParseRoot(certPEM, keyPEM []byte) (*Root, error) {
	certs, err := ParseCertificates(certPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	cert := certs[0]
	if len(certs) > 1 {
		return nil, fmt.Errorf("certificate: %d where one belongs", len(certs))
	}
	if !selfSigned(cert) {
		return nil, fmt.Errorf("certificate: %s is no root, %q signed it", name(cert), cert.Issuer.String())
	}
	if err := signs(cert, 0); err != nil {
		return nil, fmt.Errorf("certificate: %s: %w", name(cert), err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if !samePublic(key, cert) {
		return nil, fmt.Errorf("the key is not that of the certificate %s", name(cert))
	}
	return &Root{Certificate: cert, Key: key}, nil
}

// Create writes the root and refuses to overwrite one (fs.ErrExist), whole or half. The
// key goes first: a kill in between leaves a key that signed nothing yet, which Load names,
// and never a certificate that looks whole and lost its key.
func (s Store) Create(r *Root) error {
	if err := s.create(r); err != nil {
		return fmt.Errorf("writing the root to %s: %w", s.Dir, err)
	}
	return nil
}

func (s Store) create(r *Root) error {
	switch err := s.whole(); {
	case err == nil:
		return fmt.Errorf("%w: a root is there, and all that it signed would be lost with it", fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if r.Certificate == nil || r.Key == nil || !samePublic(r.Key, r.Certificate) {
		return errors.New("the root's certificate and key do not fit")
	}
	keyPEM, err := encodeKey(r.Key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	if err := private(s.Dir, "700"); err != nil {
		return err
	}
	if err := s.writeNew(rootKeyFile, keyPEM); err != nil {
		return err
	}
	return s.writeNew(rootCertFile, EncodeCertificates(r.Certificate))
}

// Delete removes the root's files, the key first, and the folder when nothing else is in
// it. Absent is success.
func (s Store) Delete() error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting the root: %w", err)
	}
	files := []string{rootKeyFile, rootCertFile}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePrefix) {
			files = append(files, e.Name())
		}
	}
	for _, f := range files {
		if err := os.Remove(s.path(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting the root: %w", err)
		}
	}
	if empty(s.Dir) {
		if err := os.Remove(s.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting the root: %w", err)
		}
	}
	return nil
}

func (s Store) path(file string) string { return filepath.Join(s.Dir, file) }

// whole is nil when both files exist, fs.ErrNotExist when neither does, else ErrHalf.
func (s Store) whole() error {
	_, certErr := os.Stat(s.path(rootCertFile))
	_, keyErr := os.Stat(s.path(rootKeyFile))
	noCert, noKey := errors.Is(certErr, fs.ErrNotExist), errors.Is(keyErr, fs.ErrNotExist)
	switch {
	case certErr == nil && keyErr == nil:
		return nil
	case noCert && noKey:
		return fmt.Errorf("no root: %w", fs.ErrNotExist)
	case keyErr == nil && noCert:
		return diag.Hint(fmt.Errorf("%w: %s is there and %s is not", ErrHalf, rootKeyFile, rootCertFile),
			"if this root signed anything, put its certificate back into "+s.path(rootCertFile)+
				" (clusters have it in ConfigMap istio-ca-root-cert); if writing it was interrupted, start over: rm "+s.path(rootKeyFile))
	case certErr == nil && noKey:
		return diag.Hint(fmt.Errorf("%w: %s is there and %s is not", ErrHalf, rootCertFile, rootKeyFile),
			"put the key back into "+s.path(rootKeyFile)+" from a backup; without it, a new root replaces all trust: rm "+s.path(rootCertFile))
	}
	return errors.Join(ignoreMissing(certErr), ignoreMissing(keyErr))
}

// writeNew makes a file with its whole content or not at all, and never replaces one: a
// link, unlike a rename, fails when the name is taken.
func (s Store) writeNew(file string, data []byte) (err error) {
	f, err := os.CreateTemp(s.Dir, stagePrefix+"*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), s.path(file)); err != nil {
		return err
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	// Not every file system can sync a folder; the content is on disk already.
	_ = dir.Sync()
	return dir.Close()
}

// private refuses what others may read or replace.
func private(path, mode string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return diag.Hint(fmt.Errorf("%s is open to other users (mode %04o)", path, perm), "chmod "+mode+" "+path)
	}
	return nil
}

func readable(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return diag.Hint(err, "ls -l "+path)
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
