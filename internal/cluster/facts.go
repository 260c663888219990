// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"
)

// What kubelet and systemd inside several nodes need of the host's inotify limits; the
// figures are those of kind's known issues ("too many open files").
const (
	inotifyInstances = 512
	inotifyWatches   = 524288
)

// defaultLimit is what podman asks for open files and processes when nothing else is said.
const defaultLimit = 1048576

// Facts are what matters of a host for running clusters on it. They are read once, by Detect,
// and are plain data afterwards.
type Facts struct {
	// Engine is the name of the container engine: docker or podman.
	Engine string
	// Why says in a phrase how it was found: "DOCKER_HOST is set".
	Why string
	// EngineVersion is its version, for example 4.3.1.
	EngineVersion string
	// EngineID tells one engine from another one of the same name: Docker's daemon id, or the
	// folder in which podman keeps its store. Empty when the engine does not say.
	EngineID string
	// StorageRoot is the folder in which the engine keeps images, containers and volumes.
	StorageRoot string
	// FreeDisk are the bytes that are free there; DiskUnknown says that nobody can tell.
	FreeDisk    uint64
	DiskUnknown bool
	// Arch is Go's name of the engine's architecture; empty when the engine does not say.
	Arch string
	// Remote says that the kernel or the network of the engine is not this process's: Docker
	// Desktop, a daemon of another host, one without root. What follows of the host is then
	// not known, nothing of it is adjusted, and clusters are reached by published ports only.
	Remote bool
	// Runtime is Docker's default OCI runtime; empty for podman.
	Runtime string
	// Root says that this process has user id 0. Podman needs that, Docker does not.
	Root bool
	// CgroupV1 says that the host has no unified cgroup hierarchy (v1 or hybrid).
	CgroupV1 bool
	// NoSystemd says that systemd does not run the host, so it can not make cgroups either.
	NoSystemd bool
	// NoRunc says that runc is not installed.
	NoRunc bool
	// NoSysResource says that CAP_SYS_RESOURCE is not in the bounding set: limits can not be
	// raised and OOM scores not be lowered, in no container either.
	NoSysResource bool
	// NoModules says that /lib/modules, which kind mounts into its nodes, does not exist.
	NoModules bool
	// MaxOpenFiles and MaxProcesses are the most that a container may be given.
	MaxOpenFiles, MaxProcesses uint64
	// InotifyInstances and InotifyWatches are the host's limits for each user; 0 when they
	// can not be read.
	InotifyInstances, InotifyWatches int
}

// Adjustments says in sentences what Prepare changes so that clusters run on this host, and
// why; empty on a host that needs nothing.
func (f Facts) Adjustments() []string {
	var said []string
	if reasons := f.configReasons(); len(reasons) > 0 {
		said = append(said, fmt.Sprintf("%s gets a configuration of its own: %s.", f.Engine, strings.Join(reasons, "; ")))
	}
	if f.NoSysResource {
		said = append(said, "The kubelet runs as in a user namespace and keeps its OOM scores, because CAP_SYS_RESOURCE is missing.")
	}
	if f.CgroupV1 {
		said = append(said, "The kubelet is told to accept cgroup v1.")
	}
	if f.makesModules() {
		said = append(said, "The empty folder /lib/modules is made, because every node mounts it.")
	}
	if !f.Root {
		return said
	}
	for _, s := range f.sysctls() {
		said = append(said, fmt.Sprintf("%s is raised from %d to %d, because each node watches many files.", s.name, s.have, s.want))
	}
	return said
}

// Advice says in sentences what is low on this host and only root can raise; empty for root.
// Clusters run nevertheless, a few at least.
func (f Facts) Advice() []string {
	var said []string
	if f.Root {
		return nil
	}
	for _, s := range f.sysctls() {
		said = append(said, fmt.Sprintf("%s is %d, and several nodes may need %d (\"too many open files\"): sudo sysctl -w %s=%d",
			s.name, s.have, s.want, s.name, s.want))
	}
	return said
}

// makesModules says whether Prepare makes /lib/modules; Docker's daemon does so itself.
func (f Facts) makesModules() bool { return f.NoModules && f.Engine != docker }

// configReasons says why podman needs a configuration of our own. Docker's daemon is the
// user's, and a podman elsewhere reads none of ours.
func (f Facts) configReasons() []string {
	if f.Engine == docker || f.Remote {
		return nil
	}
	var reasons []string
	if f.boundLimits() {
		reasons = append(reasons, fmt.Sprintf("containers get at most %d open files and %d processes, because limits can not be raised here",
			f.MaxOpenFiles, f.MaxProcesses))
	}
	if f.CgroupV1 {
		reasons = append(reasons, "runc as runtime, because the host has cgroup v1")
	}
	if f.cgroupfs() {
		reasons = append(reasons, "cgroups made without systemd, because it does not run the host")
	}
	return reasons
}

// boundLimits says whether podman would ask for more than the host can give.
func (f Facts) boundLimits() bool {
	return f.NoSysResource && (f.MaxOpenFiles < defaultLimit || f.MaxProcesses < defaultLimit)
}

func (f Facts) cgroupfs() bool { return f.NoSystemd }

// containersConf is the engine's configuration, or empty when the host's own will do.
func (f Facts) containersConf() string {
	if len(f.configReasons()) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("# Written by meshfed at every run: what this host needs to run clusters.\n")
	if f.boundLimits() {
		fmt.Fprintf(&b, "[containers]\ndefault_ulimits = [\"nofile=%[1]d:%[1]d\", \"nproc=%[2]d:%[2]d\"]\n", f.MaxOpenFiles, f.MaxProcesses)
	}
	b.WriteString("[engine]\n")
	if f.CgroupV1 {
		b.WriteString("runtime = \"runc\"\n")
	}
	if f.cgroupfs() {
		b.WriteString("cgroup_manager = \"cgroupfs\"\n")
	}
	return b.String()
}

// sysctl is a kernel setting that is too low.
type sysctl struct {
	name, path string
	have, want int
}

// sysctls lists the kernel settings to raise; 0 means not known and is left alone.
func (f Facts) sysctls() []sysctl {
	var low []sysctl
	for _, s := range []sysctl{
		{"fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances", f.InotifyInstances, inotifyInstances},
		{"fs.inotify.max_user_watches", "/proc/sys/fs/inotify/max_user_watches", f.InotifyWatches, inotifyWatches},
	} {
		if s.have > 0 && s.have < s.want {
			low = append(low, s)
		}
	}
	return low
}
