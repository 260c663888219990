// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/meshfed/meshfed/internal/diag"
)

// blobs keeps content by its digest while a bundle is pulled, so that a pull which was
// interrupted goes on. What it holds is complete and was compared with its digest.
type blobs struct {
	dir string
	// others are folders that may have the same content, such as the bundle that is replaced.
	others []string
}

func (b blobs) path(h v1.Hash) string { return filepath.Join(b.dir, h.Algorithm, h.Hex) }

// has says whether the content is there; it takes it from the other folders if they have it.
func (b blobs) has(d v1.Descriptor) bool {
	if info, err := os.Stat(b.path(d.Digest)); err == nil && info.Size() == d.Size {
		return true
	}
	for _, dir := range b.others {
		from := filepath.Join(dir, d.Digest.Algorithm, d.Digest.Hex)
		if same(from, d) && linkFile(from, b.path(d.Digest)) == nil {
			return true
		}
	}
	return false
}

// same reads a file and compares it with its digest.
func same(file string, d v1.Descriptor) bool {
	info, err := os.Stat(file)
	if err != nil || info.Size() != d.Size {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	sum, _, err := v1.SHA256(f)
	return err == nil && sum == d.Digest
}

// errDisk marks a failure of this host's disk: the registry is not to blame.
var errDisk = errors.New("writing to disk")

// fetch writes content that open gives, unless it is there; tell hears how many bytes have come.
func (b blobs) fetch(ctx context.Context, d v1.Descriptor, open func() (io.ReadCloser, error), tell func(int64)) error {
	if b.has(d) {
		tell(d.Size)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(b.path(d.Digest)), 0o755); err != nil {
		return b.disk(err)
	}
	tmp, err := os.CreateTemp(b.dir, unfinished)
	if err != nil {
		return b.disk(err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	m := newMeter(diskWriter{tmp})
	if _, err := io.Copy(m, telling{ctx, r, tell}); err != nil {
		if errors.Is(err, errDisk) {
			return b.disk(err)
		}
		return err
	}
	if m.digest() != d.Digest || m.size != d.Size {
		return fmt.Errorf("error verifying sha256 checksum: %d bytes of %s came, want %d of %s", m.size, m.digest(), d.Size, d.Digest)
	}
	if err := tmp.Close(); err != nil {
		return b.disk(err)
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return b.disk(err)
	}
	if err := os.Rename(tmp.Name(), b.path(d.Digest)); err != nil {
		return b.disk(err)
	}
	return nil
}

// disk explains why content can not be kept.
func (b blobs) disk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return diag.Hint(fmt.Errorf("the disk of %s is full: %w", b.dir, errors.Join(errDisk, err)),
			"make room there, or name another folder with --dir; what has come is kept, and the next pull goes on")
	}
	if errors.Is(err, errDisk) {
		return err
	}
	return fmt.Errorf("%w: %w", errDisk, err)
}

// diskWriter tells failures of the disk from those of the registry.
type diskWriter struct{ f *os.File }

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errDisk, err)
	}
	return n, err
}

// telling counts what is read, and stops with its context.
type telling struct {
	ctx  context.Context //nolint:containedctx // a reader has no other way to end
	r    io.Reader
	tell func(int64)
}

func (t telling) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.r.Read(p)
	t.tell(int64(n))
	return n, err
}
