// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThawTouchesOnlyTheContainer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	state := map[string]string{"docker/0123/kubelet/pod/freezer.state": "FROZEN\n", "docker/0123/freezer.state": "THAWED\n", "docker/4567/freezer.state": "FROZEN\n"}
	for name, text := range state {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{filepath.Join(root, "docker/0123/kubelet/pod")}, thaw(root, []string{"0123", ""})); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"docker/0123/kubelet/pod/freezer.state": "THAWED", "docker/4567/freezer.state": "FROZEN\n"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got := thaw(filepath.Join(root, "absent"), []string{"0123"}); len(got) != 0 {
		t.Errorf("%q", got)
	}
}
