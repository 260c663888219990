// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
)

// sources are the inputs that are kept as files. The Go files and the module files have names
// that hide them from the Go command, or they would be a module of their own that can not be embedded.
//
//go:embed sources
var sources embed.FS

// source returns one of them.
func source(name string) ([]byte, error) {
	data, err := sources.ReadFile(path.Join("sources", name))
	if err != nil {
		return nil, fmt.Errorf("reading embedded file: %w", err)
	}
	return data, nil
}

// sourceKey is the hash of every embedded file below a folder or of one file.
func sourceKey(name string) (string, error) {
	var parts []string
	err := fs.WalkDir(sources, path.Join("sources", name), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := sources.ReadFile(p)
		parts = append(parts, p, string(data))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading embedded files: %w", err)
	}
	return hash(parts...), nil
}
