// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
)

// find looks for a program also where only root looks.
func find(name string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/bin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in PATH", name)
}

// namespace is a name in containerd for the daemon of a folder.
func namespace(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "meshfed-test-" + hex.EncodeToString(sum[:4])
}

// bounded says whether this host can not give CAP_SYS_RESOURCE to containers.
func bounded() (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	const bit = 24
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && set&(1<<bit) == 0, nil
		}
	}
	return false, nil
}

// daemons lists the process ids of every dockerd on this host.
func daemons() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && program(pid) == "dockerd" {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// program is the name of what runs as pid, without its folder; empty when nothing does.
func program(pid int) string {
	words := commandLine(pid)
	if len(words) == 0 || words[0] == "" {
		return ""
	}
	return filepath.Base(words[0])
}

func commandLine(pid int) []string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
}

// leftover stops what an earlier daemon of this folder left behind.
func leftover(ctx context.Context, dir string) error {
	pid := pidIn(filepath.Join(dir, "dockerd.pid"))
	if !serves(pid, "dockerd", dir) {
		pid = 0
	}
	if err := end(ctx, dir, pid, func() bool { return !serves(pid, "dockerd", dir) }); err != nil {
		return err
	}
	// dockerd refuses to start when any process has the id in its file, be it another program.
	for _, name := range []string{"dockerd.pid", "docker.sock", "exec/containerd/containerd.pid"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// pidIn reads a pid file; 0 when there is none.
func pidIn(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// serves says whether pid is that program, working below dir. A dead process that nobody has
// waited for has no command line.
func serves(pid int, name, dir string) bool {
	return pid > 0 && program(pid) == name &&
		slices.ContainsFunc(commandLine(pid), func(word string) bool { return strings.Contains(word, dir+"/") })
}

// end ends a daemon by its id, 0 for none, then its containerd and containers if it has not
// done so itself, and lets go of what is mounted below dir.
func end(ctx context.Context, dir string, pid int, gone func() bool) error {
	ctx = context.WithoutCancel(ctx)
	if pid > 0 {
		stop(ctx, pid, gone)
	}
	child := pidIn(filepath.Join(dir, "exec", "containerd", "containerd.pid"))
	if serves(child, "containerd", dir) {
		stop(ctx, child, func() bool { return !serves(child, "containerd", dir) })
	}
	if err := endShims(ctx, dir); err != nil {
		return err
	}
	if pid > 0 && !gone() {
		return fmt.Errorf("dockerd, process %d, does not end", pid)
	}
	return unmount(dir)
}

// stop asks a process to end and kills it when it does not.
func stop(ctx context.Context, pid int, gone func() bool) {
	for _, attempt := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, stopTime}, {syscall.SIGKILL, 10 * time.Second}} {
		if gone() {
			return
		}
		// It may have ended by itself meanwhile.
		_ = syscall.Kill(pid, attempt.signal)
		err := poll.Until(ctx, poll.Options{What: "the process to end", Interval: 50 * time.Millisecond, Deadline: attempt.wait},
			func(context.Context) (bool, string, error) { return gone(), "it runs", nil })
		if err == nil {
			return
		}
	}
}

// endShims ends what keeps the containers of a killed daemon alive. A shim that is killed
// leaves its container, so that goes with it.
func endShims(ctx context.Context, dir string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var shims []int
	parents := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if strings.HasPrefix(program(pid), "containerd-shim") && slices.Contains(commandLine(pid), namespace(dir)) {
			shims = append(shims, pid)
		}
		parents[parent(pid)] = append(parents[parent(pid)], pid)
	}
	for _, shim := range shims {
		// The first process of a container takes the others of its namespace with it.
		for _, child := range append(parents[shim], shim) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	for _, shim := range shims {
		stop(ctx, shim, func() bool { return program(shim) == "" })
	}
	return nil
}

// parent is the id of a process's parent; 0 when it is gone.
func parent(pid int) int {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// unmount lets go of everything that is mounted below dir, the innermost first.
func unmount(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(table)) {
		const point = 4
		if f := strings.Fields(line); len(f) > point && strings.HasPrefix(f[point], dir+"/") {
			points = append(points, f[point])
		}
	}
	slices.Reverse(points)
	var errs []error
	for _, p := range points {
		if err := detach(p); err != nil {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}
