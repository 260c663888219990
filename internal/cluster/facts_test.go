// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/golden"
)

func restricted() Facts {
	return Facts{Engine: "podman", EngineVersion: "4.3.1", StorageRoot: "/var/lib/containers/storage", FreeDisk: 60 << 30, Root: true,
		CgroupV1: true, NoSystemd: true, NoSysResource: true, NoModules: true,
		MaxOpenFiles: 20000, MaxProcesses: 32768, InotifyInstances: 128, InotifyWatches: 192536}
}

func ordinary() Facts {
	return Facts{Engine: "podman", EngineVersion: "5.4.0", StorageRoot: "/var/lib/containers/storage", FreeDisk: 60 << 30, Root: true,
		MaxOpenFiles: defaultLimit, MaxProcesses: defaultLimit, InotifyInstances: 8192, InotifyWatches: 1048576}
}

func TestAdjustments(t *testing.T) {
	t.Parallel()
	f := restricted()
	golden.Check(t, "testdata/restricted.txt", strings.Join(f.Adjustments(), "\n")+"\n")
	golden.Check(t, "testdata/restricted.conf", f.containersConf())
}

func TestOrdinaryHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := ordinary()
	if got := f.Adjustments(); got != nil {
		t.Errorf("adjustments: %q", got)
	}
	if got := f.containersConf(); got != "" {
		t.Errorf("containers.conf: %q", got)
	}
	dir := filepath.Join(t.TempDir(), "state")
	e, err := Prepare(t.Context(), f, dir)
	if err != nil || e.Env() != nil {
		t.Errorf("engine %v, error %v", e, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestLimitsAreLeftAloneWhenTheyCanBeRaised(t *testing.T) {
	t.Parallel()
	f := ordinary()
	f.MaxOpenFiles = 1024
	if got := f.containersConf(); got != "" {
		t.Errorf("containers.conf: %q", got)
	}
	f.NoSysResource = true
	if got := f.containersConf(); !strings.Contains(got, "nofile=1024:1024") || strings.Contains(got, "runtime") {
		t.Errorf("containers.conf: %q", got)
	}
}

func TestPrepare(t *testing.T) {
	if os.Getenv("CONTAINERS_CONF") != "" {
		t.Skip("the environment names a configuration, which wins")
	}
	t.Parallel()
	f := restricted()
	f.NoModules, f.InotifyInstances, f.InotifyWatches = false, 0, 0
	dir := filepath.Join(t.TempDir(), "state")
	for range 2 {
		e, err := Prepare(t.Context(), f, dir)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "containers.conf")
		if diff := cmp.Diff([]string{"CONTAINERS_CONF=" + path}, e.Env()); diff != "" {
			t.Errorf("environment: %s", diff)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != f.containersConf() {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change     func(*Facts)
		want, hint string
	}{
		"no root": {func(f *Facts) { f.Root = false }, "clusters belong to root", "sudo"},
		"no runc": {func(f *Facts) { f.NoRunc = true }, "cgroup v1", "apt-get install -y runc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := restricted()
			f.NoModules, f.InotifyInstances, f.InotifyWatches = false, 0, 0
			test.change(&f)
			_, err := Prepare(t.Context(), f, t.TempDir())
			refused(t, err, test.want, test.hint)
		})
	}
}

func TestDockerIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := restricted()
	f.Engine, f.Root, f.Runtime = docker, false, "runc"
	f.NoRunc = true
	golden.Check(t, "testdata/restricted-docker.txt", strings.Join(append(f.Adjustments(), f.Advice()...), "\n")+"\n")
	dir := filepath.Join(t.TempDir(), "state")
	e, err := Prepare(t.Context(), f, dir)
	if err != nil || e != Engine(Docker{}) || Open(f, dir) != Engine(Docker{}) {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	if got := ordinary(); got.Advice() != nil {
		t.Errorf("advice: %q", got.Advice())
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	// As recorded from the daemon of such a host.
	caps := errors.New("docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: " +
		"unable to start container process: unable to apply caps: operation not permitted: unknown")
	f := restricted()
	f.Engine, f.Runtime = docker, "runc"
	refused(t, f.Explain(caps), "CAP_SYS_RESOURCE is missing on this host, and Docker's runtime runc asks for it", "--default-runtime")
	if other := errors.New("port is already allocated"); f.Explain(other) != other || f.Explain(nil) != nil {
		t.Error("another error was explained")
	}
	f.Engine = podman
	if f.Explain(caps) != caps {
		t.Error("podman has no daemon")
	}
}

func TestOpen(t *testing.T) {
	if os.Getenv("CONTAINERS_CONF") != "" {
		t.Skip("the environment names a configuration, which wins")
	}
	t.Parallel()
	f, dir := restricted(), t.TempDir()
	f.NoModules, f.InotifyInstances, f.InotifyWatches = false, 0, 0
	if e := Open(f, dir); e != Engine(Podman{}) {
		t.Errorf("before: %v", e)
	}
	made, err := Prepare(t.Context(), f, dir)
	if err != nil || Open(f, dir) != made {
		t.Errorf("%v and then %v, %v", made, Open(f, dir), err)
	}
}

// refused checks an error and its hints.
func refused(t *testing.T, err error, want, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v does not say %q", err, want)
	}
	if hints := strings.Join(diag.Hints(err), "\n"); !strings.Contains(hints, hint) {
		t.Errorf("hints %q do not say %q", hints, hint)
	}
}
