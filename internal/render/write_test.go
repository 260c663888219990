// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshfed/meshfed/internal/diag"
)

func files(paths ...string) []File {
	var all []File
	for _, p := range paths {
		all = append(all, File{Path: p, Data: []byte("content of " + p)})
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree lists what is below a folder, folders too.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if d.IsDir() {
			found[name] = "(folder)"
			return nil
		}
		data, err := os.ReadFile(path)
		found[name] = string(data)
		return err
	}))
	return found
}

func TestAFolderFollowsTheTopology(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "manifests")
	none := func(string) bool { return false }
	for _, step := range []struct {
		name   string
		files  []File
		keep   func(string) bool
		before func()
		want   Result
	}{
		{name: "it is made", files: files("west/a/x.yaml", "east/a/x.yaml", "README.md"),
			want: Result{Written: []string{"README.md", "east/a/x.yaml", "west/a/x.yaml"}}},
		{name: "again", files: files("west/a/x.yaml", "east/a/x.yaml", "README.md"),
			want: Result{Same: []string{"README.md", "east/a/x.yaml", "west/a/x.yaml"}}},
		{name: "an edit is undone, a foreign file stays", files: files("west/a/x.yaml", "east/a/x.yaml", "README.md"), keep: none,
			before: func() {
				must(t, os.WriteFile(dir+"/west/a/x.yaml", []byte("edited"), 0o600))
				must(t, os.WriteFile(dir+"/west/mine.yaml", []byte("mine"), 0o600))
			},
			want: Result{Written: []string{"west/a/x.yaml"}, Same: []string{"README.md", "east/a/x.yaml"}, Foreign: []string{"west/mine.yaml"}}},
		{name: "a cluster that is not looked at stays", files: files("west/a/x.yaml", "README.md"),
			keep: func(path string) bool { return strings.HasPrefix(path, "east/") },
			want: Result{Same: []string{"README.md", "west/a/x.yaml"}, Foreign: []string{"west/mine.yaml"}}},
		{name: "one that is not rendered goes", files: files("west/b/y.yaml"),
			want: Result{Written: []string{"west/b/y.yaml"}, Removed: []string{"README.md", "east/a/x.yaml", "west/a/x.yaml"}, Foreign: []string{"west/mine.yaml"}}},
	} {
		if step.before != nil {
			step.before()
		}
		got, err := Write(dir, "usmesh", step.files, step.keep)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	got := tree(t, dir)
	delete(got, Index)
	want := map[string]string{"west": "(folder)", "west/b": "(folder)", "west/b/y.yaml": "content of west/b/y.yaml", "west/mine.yaml": "mine"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	const head = `{"apiVersion": "meshfed.io/v1alpha1", "kind": "RenderIndex", "topology": "usmesh", "files": `
	for name, test := range map[string]struct {
		have  map[string]string
		files []File
		says  string
	}{
		"files without an index": {map[string]string{"notes.txt": "mine"}, files("west/x.yaml"), "it was not made by render"},
		"another topology's":     {map[string]string{Index: strings.Replace(head, "usmesh", "other", 1) + `[]}`}, files("west/x.yaml"), "manifests of topology other"},
		"no index of ours":       {map[string]string{Index: `{"kind": "Something"}`}, files("west/x.yaml"), "not what render writes"},
		"an index that is none":  {map[string]string{Index: `[`}, files("west/x.yaml"), "not what render writes"},
		"an index that leads out": {map[string]string{Index: head + `["../outside.yaml"]}`}, files("west/x.yaml"),
			"is not below the folder"},
		"a file in the way":     {map[string]string{Index: head + `["a.yaml"]}`, "a.yaml": "ours", "west/x.yaml": "mine"}, files("west/x.yaml"), "is in the way"},
		"a path that leads out": {nil, files("../x.yaml"), "not a path below the folder"},
		"the index itself":      {nil, files(Index), "not a path below the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			above := t.TempDir()
			dir := filepath.Join(above, "manifests")
			must(t, os.MkdirAll(dir+"/west", 0o700))
			must(t, os.WriteFile(above+"/outside.yaml", []byte("outside"), 0o600))
			for path, text := range test.have {
				must(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600))
			}
			before := tree(t, above)
			_, err := Write(dir, "usmesh", test.files, nil)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
			if hints := diag.Hints(err); len(hints) == 0 && !strings.Contains(test.says, "not a path") {
				t.Errorf("no hint: %v", err)
			}
			if diff := cmp.Diff(before, tree(t, above)); diff != "" {
				t.Errorf("something was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A link in the folder must not lead writing or removing out of it.
func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	above := t.TempDir()
	dir := filepath.Join(above, "manifests")
	_, err := Write(dir, "usmesh", files("west/x.yaml"), nil)
	must(t, err)
	must(t, os.Rename(dir+"/west", above+"/west"))
	must(t, os.Symlink("../west", dir+"/west"))
	if _, err := Write(dir, "usmesh", []File{{Path: "west/x.yaml", Data: []byte("new")}}, nil); err == nil {
		t.Error("a file was written through a link")
	}
	if _, err := Write(dir, "usmesh", nil, nil); err == nil {
		t.Error("a file was removed through a link")
	}
	if got := tree(t, above+"/west")["x.yaml"]; got != "content of west/x.yaml" {
		t.Errorf("outside of the folder: %q", got)
	}
}

// One that ended in the middle leaves only files that the next one knows as its own.
func TestAnInterruptedWriteIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Write(dir, "usmesh", files("a.yaml", "b.yaml"), nil)
	must(t, err)
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer func() { _ = root.Close() }()
	// A folder stands where a file shall be: the write of it fails, after others.
	must(t, os.MkdirAll(dir+"/d.yaml", 0o700))
	if _, err := Write(dir, "usmesh", files("a.yaml", "c.yaml", "d.yaml"), nil); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	must(t, os.Remove(dir+"/d.yaml"))
	got, err := Write(dir, "usmesh", files("a.yaml", "c.yaml", "d.yaml"), nil)
	must(t, err)
	want := Result{Written: []string{"d.yaml"}, Same: []string{"a.yaml", "c.yaml"}, Removed: []string{"b.yaml"}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := slices.DeleteFunc(names(tree(t, dir)), func(s string) bool { return !strings.Contains(s, "half") }); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func names(tree map[string]string) []string {
	var all []string
	for name := range tree {
		all = append(all, name)
	}
	return all
}
