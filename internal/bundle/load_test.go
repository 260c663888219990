// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeEngine keeps images by name with their key, as an engine does.
type fakeEngine struct {
	images map[string]string
	used   []string // images that containers use
	fail   error
	loads  int
	config map[string]any
	layers []map[string]string
}

var _ Engine = (*fakeEngine)(nil)

func (*fakeEngine) Name() string { return "fake" }

func (e *fakeEngine) Run(_ context.Context, args ...string) (string, error) {
	last := args[len(args)-1]
	switch strings.Join(args[:2], " ") {
	case "image ls":
		return strings.Join(sortedKeys(e.images), "\n"), nil
	case "image inspect":
		return e.images[last], nil
	case "image rm":
		delete(e.images, last)
		return "", nil
	case "ps --all":
		if slices.Contains(e.used, strings.TrimPrefix(last, "ancestor=")) {
			return "0123", nil
		}
		return "", nil
	}
	return "", fmt.Errorf("unexpected %q", args)
}

// Pipe reads an archive as an engine would.
func (e *fakeEngine) Pipe(_ context.Context, stdin io.Reader, _ io.Writer, args ...string) error {
	e.loads++
	if e.fail != nil {
		return e.fail
	}
	files := map[string][]byte{}
	for r := tar.NewReader(stdin); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	var index []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &index); err != nil {
		return err
	}
	if err := json.Unmarshal(files[index[0].Config], &e.config); err != nil {
		return err
	}
	for _, l := range index[0].Layers {
		e.layers = append(e.layers, contents(files[l]))
	}
	labels := e.config["config"].(map[string]any)["Labels"].(map[string]any)
	e.images[index[0].RepoTags[0]] = labels[keyLabel].(string)
	return nil
}

func contents(archive []byte) map[string]string {
	found := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err != nil {
			return found
		}
		data, _ := io.ReadAll(r)
		found[h.Name] = string(data)
	}
}

func openTestBundle(t *testing.T) *Bundle {
	t.Helper()
	dir, _ := testBundle(t)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoadNodeImageOnce(t *testing.T) {
	t.Parallel()
	b, e := openTestBundle(t), &fakeEngine{images: map[string]string{"localhost/other:1": ""}}
	for range 2 {
		if err := b.LoadNodeImage(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if e.loads != 1 {
		t.Errorf("loaded %d times, want once", e.loads)
	}
	want := []map[string]string{{"usr/": "", "usr/bin/": "", "usr/bin/x": "program"}}
	if diff := cmp.Diff(want, e.layers); diff != "" {
		t.Error(diff)
	}
	if got := e.config["config"].(map[string]any)["StopSignal"]; got != "SIGRTMIN+3" {
		t.Errorf("the node stops by %v", got)
	}
	if has, err := b.HasNodeImage(t.Context(), e); err != nil || !has {
		t.Errorf("has it: %v, %v", has, err)
	}
}

func TestLoadNodeImageReplacesAnotherOfTheSameName(t *testing.T) {
	t.Parallel()
	b, e := openTestBundle(t), &fakeEngine{images: map[string]string{testNode: "other inputs"}}
	if err := b.LoadNodeImage(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if e.loads != 1 || e.images[testNode] != "abc" {
		t.Errorf("%d loads, key %q", e.loads, e.images[testNode])
	}
}

func TestLoadNodeImageReportsTheEngine(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	err := openTestBundle(t).LoadNodeImage(t.Context(), &fakeEngine{fail: full})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "fake") {
		t.Errorf("got %v", err)
	}
}

func TestPruneKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	old, used := NodeRepository+":old", NodeRepository+":used"
	e := &fakeEngine{used: []string{used}, images: map[string]string{old: "1", used: "2", testNode: "abc", "localhost/other:1": ""}}
	gone, err := openTestBundle(t).PruneNodeImages(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{old}, gone); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{used, testNode, "localhost/other:1"}, sortedKeys(e.images)); diff != "" {
		t.Error(diff)
	}
}
