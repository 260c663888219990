// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

const (
	// oldestPodman is the first release whose networks have labels and lease ranges as used here.
	oldestPodman = 4
	// oldestDocker is the first release that tells its cgroup version and never pulls when told so.
	oldestDocker = 20_10
	// neverDocker: Docker went from 1.13 to 17.03; podman, which answers in Docker's stead on
	// its socket, has the numbers between.
	neverDocker = 17_00
)

// Detect finds the container engine and reads the host's facts. prefer is docker or podman when
// an earlier run has recorded which it used, and empty otherwise: see Facts.Why. It changes
// nothing and takes about 0.1 s. Without an engine that can be used the error is an ErrNoEngine,
// with what to do as its hint.
func Detect(ctx context.Context, prefer string) (Facts, error) {
	got, err := newFinder().find(ctx, prefer)
	if err != nil {
		return Facts{}, err
	}
	f := hostFacts()
	f.Engine, f.Why = got.engine, got.why
	if got.engine == docker {
		err = f.readDocker(got.info, thisMachine())
	} else {
		err = f.readPodman(ctx, Podman{})
	}
	if err != nil {
		return Facts{}, err
	}
	if f.Remote {
		f = f.withoutHost()
	}
	if free, ferr := freeDisk(f.StorageRoot); f.Remote || ferr != nil {
		f.DiskUnknown = true
	} else {
		f.FreeDisk = free
	}
	return f, nil
}

// withoutHost forgets what is true of this process's kernel and not of the engine's.
func (f Facts) withoutHost() Facts {
	return Facts{Engine: f.Engine, Why: f.Why, EngineVersion: f.EngineVersion, EngineID: f.EngineID, StorageRoot: f.StorageRoot, Arch: f.Arch,
		Remote: true, Root: f.Root, CgroupV1: f.CgroupV1, Runtime: f.Runtime, MaxOpenFiles: defaultLimit, MaxProcesses: defaultLimit}
}

// readPodman asks podman for its version and where it stores things.
func (f *Facts) readPodman(ctx context.Context, e Engine) error {
	out, err := e.Run(ctx, "info", "--format", "json")
	if err != nil {
		return diag.Hint(fmt.Errorf("asking %s about itself: %w", e.Name(), err), "podman info shows what is wrong with it")
	}
	var info struct {
		Host struct {
			Arch            string `json:"arch"`
			CgroupVersion   string `json:"cgroupVersion"`
			ServiceIsRemote bool   `json:"serviceIsRemote"`
			Security        struct {
				Rootless bool `json:"rootless"`
			} `json:"security"`
		} `json:"host"`
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
	f.EngineVersion, f.StorageRoot, f.Arch = info.Version.Version, info.Store.GraphRoot, goArch(info.Host.Arch)
	f.EngineID = info.Store.GraphRoot
	if info.Host.ServiceIsRemote || runtime.GOOS != "linux" {
		// Podman has to be root where it runs, which is not here.
		f.Remote, f.Root, f.CgroupV1 = true, !info.Host.Security.Rootless, info.Host.CgroupVersion == "v1"
	}
	major, _, _ := strings.Cut(f.EngineVersion, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestPodman {
		return diag.Hint(fmt.Errorf("podman %s is too old: %d.0 or newer is needed", f.EngineVersion, oldestPodman), podmanHint)
	}
	return nil
}

// dockerInfo is what matters of docker info.
type dockerInfo struct {
	ID, ServerVersion, Name, OperatingSystem, OSType, Architecture string
	KernelVersion, CgroupVersion, DockerRootDir                    string
	DefaultRuntime                                                 string
	SecurityOptions, ServerErrors                                  []string
	ClientInfo                                                     struct{ Context string }

	// endpoint is the daemon's address as the current context has it; empty when not known.
	endpoint string
}

func parseDockerInfo(text string) (dockerInfo, error) {
	var info dockerInfo
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return dockerInfo{}, fmt.Errorf("reading what docker says of its daemon: %w", err)
	}
	return info, nil
}

// machine is what tells this process's machine from that of a daemon.
type machine struct {
	os, kernel string
	exists     func(path string) bool
}

// thisMachine is the one that this process runs on.
func thisMachine() machine {
	return machine{os: runtime.GOOS, kernel: kernelRelease(), exists: func(path string) bool { return !missing(path) }}
}

// readDocker reads what the daemon said of itself, and refuses one that can not be used.
func (f *Facts) readDocker(info dockerInfo, here machine) error {
	f.EngineID = info.ID
	f.EngineVersion, f.StorageRoot, f.Arch, f.Runtime = info.ServerVersion, info.DockerRootDir, goArch(info.Architecture), info.DefaultRuntime
	version, ok := releaseNumber(info.ServerVersion)
	switch {
	case ok && version >= 2_00 && version < neverDocker:
		return diag.Hint(fmt.Errorf("%w: what answers docker is podman %s", ErrNoEngine, info.ServerVersion),
			"unset DOCKER_HOST or choose another docker context, or set "+providerVariable+"=podman")
	case !ok || version < oldestDocker:
		return diag.Hint(fmt.Errorf("docker %s is too old: 20.10 or newer is needed", info.ServerVersion), "https://docs.docker.com/engine/install")
	case info.OSType != "" && info.OSType != "linux":
		return diag.Hint(fmt.Errorf("%w: Docker runs containers of %s, and nodes are containers of Linux", ErrNoEngine, info.OSType),
			"switch Docker to Linux containers")
	}
	f.CgroupV1 = info.CgroupVersion == "1"
	f.Remote = info.remote(here)
	return nil
}

// remote says whether the daemon's kernel or network is not that of this process. What may be
// either is taken for remote: then nothing of this host is adjusted or believed.
func (i dockerInfo) remote(here machine) bool {
	switch {
	case here.os != "linux" || strings.Contains(i.OperatingSystem, "Docker Desktop"):
		return true
	case i.endpoint != "" && !strings.HasPrefix(i.endpoint, "unix://"):
		return true
	case slices.Contains(i.SecurityOptions, "name=rootless"):
		// A network of its own, which this process can not reach.
		return true
	}
	// A forwarded socket leads to another kernel, one that is mounted into a container to
	// folders that are not to be seen here.
	return i.KernelVersion != here.kernel || !here.exists(i.DockerRootDir)
}

// releaseNumber reads major and minor of 20.10.24+dfsg1 as 2010.
func releaseNumber(version string) (int, bool) {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, aerr := strconv.Atoi(major)
	b, berr := strconv.Atoi(minor)
	return a*100 + b, cmp.Or(aerr, berr) == nil
}

// goArch is Go's name of an architecture.
func goArch(name string) string {
	switch name {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return name
}
