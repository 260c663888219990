// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// cgroup2Magic is what statfs says of a cgroup v2 mount, from linux/magic.h.
	cgroup2Magic = 0x63677270
	// rlimitProcesses is RLIMIT_NPROC, from asm-generic/resource.h; package syscall lacks it.
	rlimitProcesses = 6
)

// hostFacts reads what the kernel says.
func hostFacts() Facts {
	_, noRunc := lookPath("runc")
	f := Facts{
		Root:             os.Geteuid() == 0,
		CgroupV1:         !unifiedCgroups("/sys/fs/cgroup"),
		NoSystemd:        missing("/run/systemd/system"),
		NoRunc:           noRunc != nil,
		NoModules:        missing("/lib/modules"),
		MaxOpenFiles:     hardLimit(syscall.RLIMIT_NOFILE),
		MaxProcesses:     hardLimit(rlimitProcesses),
		InotifyInstances: readNumber("/proc/sys/fs/inotify/max_user_instances"),
		InotifyWatches:   readNumber("/proc/sys/fs/inotify/max_user_watches"),
	}
	// podman lowers its own limit of processes to the highest process id before it starts
	// anything, and what it has lowered can not be raised again.
	if highest := readNumber("/proc/sys/kernel/pid_max"); highest > 0 {
		f.MaxProcesses = min(f.MaxProcesses, uint64(highest))
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		f.NoSysResource = !hasCapability(string(status), capSysResource)
	}
	return f
}

// unifiedCgroups says whether cgroup v2 is mounted at root, as podman itself decides it.
func unifiedCgroups(root string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(root, &s) == nil && int64(s.Type) == cgroup2Magic
}

// kernelRelease is what uname -r prints; empty when it can not be read.
func kernelRelease() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(text))
}

func hardLimit(resource int) uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(resource, &l); err != nil {
		return defaultLimit
	}
	return min(l.Max, defaultLimit)
}

func readNumber(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}

// freeDisk returns the bytes that are free where path is, or will be.
func freeDisk(path string) (uint64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(path, &s)
	for errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		err = syscall.Statfs(path, &s)
	}
	if err != nil {
		return 0, fmt.Errorf("looking for free disk at %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
