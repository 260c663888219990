// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// running starts a shell under another name, with these arguments, that waits.
func running(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	program := filepath.Join(t.TempDir(), name)
	if err := copyFile(shell, program); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, append([]string{"-c", "read line", "sh"}, args...)...)
	if _, err := c.StdinPipe(); err != nil { // which stays open: it waits
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c
}

func TestWhatAKilledBuildLeftRunningIsEnded(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	state := filepath.Join(t.TempDir(), "meshfed-store-1")
	if err := writeFiles(state, map[string][]byte{"config.toml": nil}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(state, "config.toml")
	left := running(t, "containerd", "--config", config, "--root", filepath.Join(dir, "layers", unfinished+"1", "root"))
	for _, kept := range []*exec.Cmd{
		running(t, "containerd", "--root", filepath.Join(other, "layers", unfinished+"1", "root")),
		running(t, "containerd", "--root", filepath.Join(dir, "layers", "0123", "root")),
		running(t, "editor", filepath.Join(dir, "layers", unfinished+"1", "root")),
	} {
		defer func() {
			if len(arguments(procDir, kept.Process.Pid)) == 0 {
				t.Errorf("%s was ended", kept)
			}
		}()
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	if err := endLeftovers(t.Context(), procDir, dir); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("it still runs")
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}
