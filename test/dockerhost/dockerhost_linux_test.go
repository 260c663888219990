// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meshfed/meshfed/internal/run"
)

// TestDaemon starts a Docker Engine, kills it while a privileged container runs, starts it
// again in the same folder and stops it. It needs root and dockerd.
func TestDaemon(t *testing.T) {
	if os.Getenv("MESHFED_REAL_DOCKER") == "" {
		t.Skip("MESHFED_REAL_DOCKER is not set")
	}
	ctx, dir := t.Context(), t.TempDir()
	d, err := Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	docker := func(args ...string) string {
		t.Helper()
		out, err := run.Command{Name: "docker", Args: args, Env: []string{"DOCKER_HOST=" + d.Host()}}.Output(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tiny := filepath.Join(t.TempDir(), "tiny")
	if _, err := (run.Command{Name: "go", Args: []string{"build", "-o", tiny, "../../internal/cluster/testdata/tiny"}, Env: []string{"CGO_ENABLED=0"}}).Output(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := (run.Command{Name: "sh", Args: []string{"-c", `tar -C "$0" -c tiny | docker import --change 'ENTRYPOINT ["/tiny"]' - mfha-tiny:1`, filepath.Dir(tiny)},
		Env: []string{"DOCKER_HOST=" + d.Host()}}).Output(ctx); err != nil {
		t.Fatal(err)
	}
	docker("network", "create", "mfha-own")
	docker("run", "--detach", "--pull", "never", "--privileged", "--name", "mfha-stays", "--network", "mfha-own", "mfha-tiny:1", "stay")
	if out := docker("run", "--rm", "--network", "mfha-own", "--privileged", "mfha-tiny:1", "echo", "hello"); out != "hello" {
		t.Errorf("it said %q", out)
	}
	if other, err := Start(ctx, filepath.Join(dir, strings.Repeat("long/", 20))); err == nil {
		t.Errorf("a folder too deep for sockets: %v", errors.Join(errors.New("started"), other.Stop()))
	}

	if err := syscall.Kill(d.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again, err := Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	d = again
	if out := docker("container", "inspect", "--format", "{{.State.Running}}", "mfha-stays"); out != "false" {
		t.Errorf("after the daemon was killed its container runs: %s", out)
	}
	docker("start", "mfha-stays")
	// One that runs is taken over: a test that was killed has left it.
	if again, err = Start(ctx, dir); err != nil {
		t.Fatal(err)
	}
	d = again
	// Stopped in order, nothing of its networks is on the host; they come back with it.
	bridge := "br-" + docker("network", "inspect", "--format", "{{slice .Id 0 12}}", "mfha-own")
	if _, err := net.InterfaceByName(bridge); err != nil {
		t.Error(err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.InterfaceByName(bridge); err == nil {
		t.Errorf("%s is left", bridge)
	}
	if again, err = Start(ctx, dir); err != nil {
		t.Fatal(err)
	}
	d = again
	docker("start", "mfha-stays")
	if _, err := net.InterfaceByName(bridge); err != nil {
		t.Error(err)
	}
	docker("rm", "--force", "mfha-stays")
	docker("network", "rm", "mfha-own")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

// nothingLeft looks for processes and mounts of a daemon.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		line, err := os.ReadFile(e)
		if err == nil && (strings.Contains(string(line), dir+"/") || strings.Contains(string(line), namespace(dir))) {
			t.Errorf("left: %q", line)
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(table), dir) {
		t.Errorf("mounts are left, or %v", err)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	if serves(0, "dockerd", "/x") || serves(self, "dockerd", "/x") || serves(self, program(self), "/nosuch") {
		t.Error("another process was taken for the daemon")
	}
	if parent(self) != os.Getppid() {
		t.Errorf("parent %d instead of %d", parent(self), os.Getppid())
	}
}

func TestStartWithoutDockerd(t *testing.T) {
	t.Parallel()
	if _, err := (Options{Dockerd: "/bin/false", Runtime: "/bin/false"}).Start(t.Context(), filepath.Join(t.TempDir(), "d")); err == nil ||
		!strings.Contains(err.Error(), "dockerd has ended") {
		t.Errorf("a program that ends at once: %v", err)
	}
}
