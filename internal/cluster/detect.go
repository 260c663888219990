// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// capSysResource is the bit of CAP_SYS_RESOURCE, from linux/capability.h.
	capSysResource = 24
	// cgroup2Magic is what statfs says of a cgroup v2 mount, from linux/magic.h.
	cgroup2Magic = 0x63677270
	// rlimitProcesses is RLIMIT_NPROC, from asm-generic/resource.h; package syscall lacks it.
	rlimitProcesses = 6
	// oldestPodman is the first release whose networks have labels and lease ranges as used here.
	oldestPodman = 4
)

// Detect finds the container engine and reads the host's facts. It changes nothing and takes
// about 0.1 s. Without an engine that can be used the error is an ErrNoEngine, with the
// command that installs one as its hint.
func Detect(ctx context.Context) (Facts, error) {
	engine, err := findEngine(lookPath)
	if err != nil {
		return Facts{}, err
	}
	f := hostFacts()
	f.Engine = engine
	if err := f.readEngine(ctx, Podman{}); err != nil {
		return Facts{}, err
	}
	f.FreeDisk, err = freeDisk(f.StorageRoot)
	return f, err
}

// readEngine asks podman for its version and where it stores things.
func (f *Facts) readEngine(ctx context.Context, e Engine) error {
	out, err := e.Run(ctx, "info", "--format", "json")
	if err != nil {
		return diag.Hint(fmt.Errorf("asking %s about itself: %w", e.Name(), err), "podman info shows what is wrong with it")
	}
	var info struct {
		Store struct {
			GraphRoot string `json:"graphRoot"`
		} `json:"store"`
		Version struct {
			Version string `json:"Version"`
		} `json:"version"`
	}
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		return fmt.Errorf("reading what %s says of itself: %w", e.Name(), err)
	}
	f.EngineVersion, f.StorageRoot = info.Version.Version, info.Store.GraphRoot
	major, _, _ := strings.Cut(f.EngineVersion, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestPodman {
		return diag.Hint(fmt.Errorf("podman %s is too old: %d.0 or newer is needed", f.EngineVersion, oldestPodman), podmanHint)
	}
	return nil
}

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

// hasCapability reads the bounding set in /proc/<pid>/status; what can not be read is taken
// to be there.
func hasCapability(status string, bit int) bool {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err != nil || set&(1<<bit) != 0
		}
	}
	return true
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
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
