// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/state"
)

func open(t *testing.T) state.Dir {
	t.Helper()
	d, err := state.Open(filepath.Join(t.TempDir(), "state"), "usmesh")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Mode().Perm()
}

func TestDefaultBase(t *testing.T) {
	cases := []struct{ name, xdg, home, want string }{
		{"XDG", "/x/state", "/home/u", "/x/state/meshfed"},
		{"home", "", "/home/u", "/home/u/.local/state/meshfed"},
		{"a relative XDG path is ignored", "state", "/home/u", "/home/u/.local/state/meshfed"},
		{"nothing", "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", c.xdg)
			t.Setenv("HOME", c.home)
			if got := state.DefaultBase(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			d, err := state.Open("", "usmesh")
			if c.want == "" {
				if err == nil || !strings.Contains(strings.Join(diag.Hints(err), ""), "--state-dir") {
					t.Errorf("got %v with hints %q", err, diag.Hints(err))
				}
				return
			}
			if err != nil || d.Path != c.want+"/usmesh" {
				t.Errorf("got %q, %v", d.Path, err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`} {
		if _, err := state.Open(t.TempDir(), name); err == nil {
			t.Errorf("%q must be refused", name)
		}
	}
	d := open(t)
	if _, err := os.Stat(filepath.Dir(d.Path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opening must leave no trace")
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	d := open(t)
	if _, err := d.Owner(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no owner yet: %v", err)
	}
	id := state.NewOwner()
	if id == state.NewOwner() || len(id) != 16 {
		t.Errorf("not random: %q", id)
	}
	must(t, d.SetOwner(id))
	must(t, d.SetOwner(id))
	if got, err := d.Owner(); err != nil || got != id {
		t.Errorf("got %q, %v", got, err)
	}
	if err := d.SetOwner(state.NewOwner()); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("another owner must be refused by name: %v", err)
	}
	if err := d.SetOwner("me"); err == nil {
		t.Error("a malformed id must be refused")
	}
	must(t, os.WriteFile(filepath.Join(d.Path, "owner"), nil, 0o600))
	if _, err := d.Owner(); err == nil || errors.Is(err, fs.ErrNotExist) || len(diag.Hints(err)) == 0 {
		t.Errorf("a damaged file must not look absent: %v", err)
	}
}

func TestKubeconfigIsPrivate(t *testing.T) {
	t.Parallel()
	d := open(t)
	must(t, d.WriteKubeconfig("west", []byte("old")))
	must(t, os.Chmod(d.Path, 0o755)) // someone was careless
	must(t, d.WriteKubeconfig("west", []byte("new")))
	path := d.Kubeconfig("west")
	if data, err := os.ReadFile(path); err != nil || string(data) != "new" {
		t.Errorf("got %q, %v", data, err)
	}
	for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, d.Path: 0o700} {
		if got := mode(t, p); got != want {
			t.Errorf("%s is %04o, want %04o", p, got, want)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	must(t, d.RemoveKubeconfig("west"))
	must(t, d.RemoveKubeconfig("west"))
}

func TestLastVerify(t *testing.T) {
	t.Parallel()
	d := open(t)
	if _, err := d.LastVerify(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no verdict yet: %v", err)
	}
	for _, v := range []any{map[string]int{"pass": 3}, []byte(`{"pass":3}`), json.RawMessage(`{"pass":3}`)} {
		must(t, d.SetLastVerify(v))
		raw, err := d.LastVerify()
		must(t, err)
		var got map[string]int
		must(t, json.Unmarshal(raw, &got))
		if diff := cmp.Diff(map[string]int{"pass": 3}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	must(t, os.WriteFile(filepath.Join(d.Path, "verify.json"), []byte("{"), 0o600))
	if _, err := d.LastVerify(); err == nil || len(diag.Hints(err)) == 0 {
		t.Errorf("a damaged file needs a fix: %v", err)
	}
}

func TestUnusableFolderSaysWhatToDo(t *testing.T) {
	t.Parallel()
	// A file where the folder belongs fails for root too, unlike missing rights.
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	d, err := state.Open(file, "usmesh")
	must(t, err)
	_, lockErr := d.Lock("up")
	_, runErr := d.NewRun("up")
	for _, err := range []error{d.SetOwner(state.NewOwner()), d.WriteKubeconfig("west", nil), lockErr, runErr} {
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(strings.Join(diag.Hints(err), ""), "--state-dir") {
			t.Errorf("got %v with hints %q", err, diag.Hints(err))
		}
	}
}

func TestFullDiskSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	d := open(t)
	r, err := d.NewRun("up")
	must(t, err)
	must(t, r.Close())
	// The events of the next run go to a device that is always full.
	full, err := state.NewRunOn(r.Path, "/dev/full")
	must(t, err)
	err = full.Event(map[string]string{"step": "istio@west"})
	if err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(strings.Join(diag.Hints(err), ""), "df -h") {
		t.Errorf("got %v with hints %q", err, diag.Hints(err))
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		keepPKI bool
		pki     bool
		want    []string
	}{
		{"the root stays", true, true, []string{"pki", "pki/root.key"}},
		{"no root, nothing stays", true, false, nil},
		{"with certificates", false, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			must(t, d.Remove(c.keepPKI)) // absent is success
			release, err := d.Lock("down")
			must(t, err)
			must(t, d.SetOwner(state.NewOwner()))
			must(t, d.WriteKubeconfig("west", nil))
			r, err := d.NewRun("down")
			must(t, err)
			must(t, os.MkdirAll(d.PKI(), 0o700))
			if c.pki {
				must(t, os.WriteFile(filepath.Join(d.PKI(), "root.key"), nil, 0o600))
			}
			must(t, d.Remove(c.keepPKI))
			must(t, d.Remove(c.keepPKI))
			must(t, r.Close())
			release()
			if diff := cmp.Diff(c.want, tree(t, d.Path)); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
			if _, err := os.Stat(filepath.Dir(d.Path)); err != nil {
				t.Error("a folder that the user named must stay")
			}
		})
	}
}

func TestRemoveDefaultBase(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, name := range []string{"one", "two"} {
		d, err := state.Open("", name)
		must(t, err)
		must(t, d.SetOwner(state.NewOwner()))
	}
	one, _ := state.Open("", "one")
	must(t, one.Remove(false))
	if got := tree(t, state.DefaultBase()); !slices.Equal(got, []string{"two", "two/owner"}) {
		t.Errorf("got %v", got)
	}
	two, _ := state.Open("", "two")
	must(t, two.Remove(false))
	if _, err := os.Stat(state.DefaultBase()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the empty default base must go")
	}
}

// tree lists what is below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if rel, _ := filepath.Rel(dir, path); err == nil && rel != "." {
			all = append(all, rel)
		}
		return err
	})
	must(t, err)
	return all
}
