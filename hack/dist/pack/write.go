// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Write makes a file of what fill writes, in one step: a file that exists is complete.
func Write(file string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".unfinished-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer os.Remove(f.Name()) // it has another name by then, or is half of a file
	buffered := bufio.NewWriterSize(f, 1<<20)
	if err := fill(buffered); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", file, err), f.Close())
	}
	err = errors.Join(buffered.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// Sum is the SHA-256 of a file, in hexadecimal digits.
func Sum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Sum is the SHA-256 of an entry's content.
func (e Entry) Sum() (string, error) {
	if e.Path != "" {
		return Sum(e.Path)
	}
	sum := sha256.Sum256(e.Data)
	return hex.EncodeToString(sum[:]), nil
}

// Checksums lists files of dir as sha256sum does, in order.
func Checksums(dir string, names []string) ([]byte, error) {
	var b bytes.Buffer
	for _, name := range slices.Sorted(slices.Values(names)) {
		sum, err := Sum(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return b.Bytes(), nil
}
