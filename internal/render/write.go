// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// Index is the file that lists what was rendered into a folder, and is how the folder is known
// as one of ours.
const Index = "meshfed-render.json"

// index is its content.
type index struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Topology   string   `json:"topology"`
	Files      []string `json:"files"`
}

const (
	indexVersion = "meshfed.io/v1alpha1"
	indexKind    = "RenderIndex"
)

// File is one file of a folder.
type File struct {
	// Path in the folder, with slashes.
	Path string
	// Data is its content.
	Data []byte
}

// Result says what Write did, by path, each list in lexical order.
type Result struct {
	// Written are new or have another content now; Same were there as they are.
	Written, Same []string
	// Removed were rendered earlier and are not any more.
	Removed []string
	// Foreign are somebody else's and were left alone.
	Foreign []string
}

// Write brings a folder to the files that a topology renders to, and makes it when it is
// absent. It refuses a folder with files in it that is not one of ours or another topology's,
// and a file of somebody else's in the place of one of ours; then nothing is changed. Files that
// were rendered earlier and are not among files are removed, unless keep says otherwise (nil
// keeps none). It is idempotent; one that was interrupted is finished by the next.
func Write(dir, topology string, files []File, keep func(string) bool) (Result, error) {
	for _, f := range files {
		if !filepath.IsLocal(f.Path) || f.Path == Index {
			return Result{}, fmt.Errorf("rendering %q: not a path below the folder", f.Path)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, fmt.Errorf("making the folder for manifests: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, fmt.Errorf("opening the folder for manifests: %w", err)
	}
	defer func() { _ = root.Close() }()
	f := folder{dir: dir, root: root}
	there, err := f.files()
	if err != nil {
		return Result{}, err
	}
	before, err := f.index(topology, there)
	if err != nil {
		return Result{}, err
	}
	for _, file := range files {
		if slices.Contains(there, file.Path) && !slices.Contains(before.Files, file.Path) {
			return Result{}, diag.Hint(fmt.Errorf("%s is in the way and was not rendered", filepath.Join(dir, file.Path)), "move it away, or name another folder")
		}
	}
	return f.bring(before, there, files, keep)
}

// folder is where manifests are; nothing outside of it can be reached through it.
type folder struct {
	dir  string
	root *os.Root
}

// files lists every file below the folder but the index.
func (f folder) files() ([]string, error) {
	var found []string
	err := fs.WalkDir(f.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == Index {
			return err
		}
		found = append(found, path)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking into %s: %w", f.dir, err)
	}
	return found, nil
}

// index reads what was rendered into the folder before.
func (f folder) index(topology string, there []string) (index, error) {
	next := index{APIVersion: indexVersion, Kind: indexKind, Topology: topology}
	another := "name a folder of its own, such as -o " + run.ShellWord(filepath.Join(f.dir, topology))
	data, err := f.root.ReadFile(Index)
	if errors.Is(err, fs.ErrNotExist) {
		if len(there) > 0 {
			return next, diag.Hint(fmt.Errorf("folder %s has files in it (%s) and no %s: it was not made by render", f.dir, there[0], Index), another)
		}
		return next, nil
	}
	if err != nil {
		return next, fmt.Errorf("reading what was rendered before: %w", err)
	}
	var before index
	if err := json.Unmarshal(data, &before); err != nil || before.Kind != indexKind {
		return next, diag.Hint(fmt.Errorf("%s is not what render writes", filepath.Join(f.dir, Index)), "put it back, or "+another)
	}
	if before.Topology != topology {
		return next, diag.Hint(fmt.Errorf("folder %s holds the manifests of topology %s, not of %s", f.dir, before.Topology, topology), another)
	}
	for _, path := range before.Files {
		if !filepath.IsLocal(path) {
			return next, diag.Hint(fmt.Errorf("%s names %q, which is not below the folder", filepath.Join(f.dir, Index), path), "put it back, or "+another)
		}
	}
	next.Files = before.Files
	return next, nil
}

// bring writes and removes. While it does, the index has both the old and the new files, so
// that all of them are known as ours whenever it ends.
func (f folder) bring(before index, there []string, files []File, keep func(string) bool) (Result, error) {
	after := before
	after.Files = nil
	var result Result
	for _, file := range files {
		after.Files = append(after.Files, file.Path)
	}
	for _, path := range before.Files {
		switch {
		case slices.Contains(after.Files, path):
		case keep != nil && keep(path):
			after.Files = append(after.Files, path)
		default:
			result.Removed = append(result.Removed, path)
		}
	}
	both := before
	both.Files = append(slices.Clone(after.Files), result.Removed...)
	if err := f.writeIndex(both); err != nil {
		return result, err
	}
	for _, file := range files {
		same, err := f.write(file)
		if err != nil {
			return result, err
		}
		if same {
			result.Same = append(result.Same, file.Path)
		} else {
			result.Written = append(result.Written, file.Path)
		}
	}
	for _, path := range result.Removed {
		if err := f.remove(path); err != nil {
			return result, err
		}
	}
	for _, path := range there {
		if !slices.Contains(both.Files, path) {
			result.Foreign = append(result.Foreign, path)
		}
	}
	for _, list := range [][]string{result.Written, result.Same, result.Removed, result.Foreign} {
		slices.Sort(list)
	}
	return result, f.writeIndex(after)
}

func (f folder) writeIndex(i index) error {
	slices.Sort(i.Files)
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", Index, err)
	}
	_, err = f.write(File{Path: Index, Data: append(data, '\n')})
	return err
}

// write replaces a file in one go, unless it is the same already.
func (f folder) write(file File) (same bool, err error) {
	if old, err := f.root.ReadFile(file.Path); err == nil && bytes.Equal(old, file.Data) {
		return true, nil
	}
	if err := f.root.MkdirAll(path.Dir(file.Path), 0o755); err != nil {
		return false, fmt.Errorf("making the folder of %s: %w", file.Path, err)
	}
	half := file.Path + ".meshfed-half"
	err = f.root.WriteFile(half, file.Data, 0o644)
	if err == nil {
		err = f.root.Rename(half, file.Path)
	}
	if err != nil {
		_ = f.root.Remove(half)
		return false, fmt.Errorf("writing %s: %w", filepath.Join(f.dir, file.Path), err)
	}
	return false, nil
}

// remove deletes a file, and the folders above it that are empty then.
func (f folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Join(f.dir, name), err)
	}
	for above := path.Dir(name); above != "." && !strings.HasPrefix(above, ".."); above = path.Dir(above) {
		if f.root.Remove(above) != nil {
			return nil // something else is in it
		}
	}
	return nil
}
