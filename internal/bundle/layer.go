// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	gohash "hash"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// A layer lies in its own cache folder: the compressed archive and what is known of it.
const (
	layerArchive = "layer.tar.zst"
	layerFacts   = "layer.json"
)

// layer is an image layer on disk.
type layer struct {
	file     string
	DiffHash v1.Hash `json:"diffID"`
	ZstdHash v1.Hash `json:"digest"`
	ZstdSize int64   `json:"size"`
	RawSize  int64   `json:"rawSize"`
}

var _ v1.Layer = (*layer)(nil)

// writeLayer makes a layer in dir from what fill writes.
func writeLayer(dir string, fill func(*tar.Writer) error) error {
	f, err := os.Create(filepath.Join(dir, layerArchive))
	if err != nil {
		return fmt.Errorf("writing a layer: %w", err)
	}
	defer f.Close()
	packed, raw := newMeter(f), newMeter(nil)
	// The fastest level: half the size for a third of the time of the next one.
	z, err := zstd.NewWriter(packed, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return fmt.Errorf("writing a layer: %w", err)
	}
	buffered := bufio.NewWriterSize(io.MultiWriter(z, raw), 1<<20)
	t := tar.NewWriter(buffered)
	for _, step := range []func() error{func() error { return fill(t) }, t.Close, buffered.Flush, z.Close, f.Close} {
		if err := step(); err != nil {
			return fmt.Errorf("writing a layer: %w", err)
		}
	}
	facts, err := json.Marshal(layer{DiffHash: raw.digest(), RawSize: raw.size, ZstdHash: packed.digest(), ZstdSize: packed.size})
	if err != nil {
		return fmt.Errorf("writing a layer: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, layerFacts), facts, 0o644)
}

// openLayer reads what writeLayer made.
func openLayer(dir string) (*layer, error) {
	data, err := os.ReadFile(filepath.Join(dir, layerFacts))
	if err != nil {
		return nil, fmt.Errorf("opening a layer: %w", err)
	}
	l := &layer{file: filepath.Join(dir, layerArchive)}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("opening layer %s: %w", dir, err)
	}
	return l, nil
}

func (l *layer) Digest() (v1.Hash, error)             { return l.ZstdHash, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.DiffHash, nil }
func (l *layer) Size() (int64, error)                 { return l.ZstdSize, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.OCILayerZStd, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return openZstd(l.file) }

// openZstd reads a compressed file as what was compressed.
func openZstd(file string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return plain{z, f}, nil
}

type plain struct {
	*zstd.Decoder
	f *os.File
}

func (p plain) Close() error { p.Decoder.Close(); return p.f.Close() }

// meter passes bytes on, to nowhere if out is nil, and knows their number and hash.
type meter struct {
	out  io.Writer
	sum  gohash.Hash
	size int64
}

func newMeter(out io.Writer) *meter {
	if out == nil {
		out = io.Discard
	}
	return &meter{out: out, sum: sha256.New()}
}

func (m *meter) Write(p []byte) (int, error) {
	m.sum.Write(p)
	m.size += int64(len(p))
	return m.out.Write(p)
}

func (m *meter) digest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(m.sum.Sum(nil))}
}
