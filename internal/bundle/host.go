// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// coldSpace is what a build from nothing may write, in bytes: modules, compiler cache and artefacts.
const coldSpace = 15 << 30

// warmSpace is enough when programs are compiled already.
const warmSpace = 5 << 30

const goHint = "install Go " + minGo + " or later from https://go.dev/dl"

// checkGo refuses a compiler that is older than what the components need.
func checkGo(release string) error {
	if version.Compare(release, "go"+minGo) >= 0 {
		return nil
	}
	return diag.Hint(fmt.Errorf("the components need Go %s, this host has %s", minGo, release), goHint)
}

// tool is a program that the build runs.
type tool struct{ name, install string }

func tools() []tool {
	return []tool{
		{"go", goHint},
		{"python3", "apt-get install -y python3 python3-pip"},
		{"mmdebstrap", "apt-get install -y mmdebstrap"},
		{"unshare", "apt-get install -y util-linux"},
	}
}

// checkPlatform refuses a host of another kind than the images that are built.
func checkPlatform(goos, goarch string) error {
	if goos == "linux" && goarch == "amd64" {
		return nil
	}
	return diag.Hint(fmt.Errorf("a bundle can be built on linux/amd64 only, this is %s/%s", goos, goarch),
		"`meshfed bundle pull` fetches images for the container engine of this host; or build it on such a host and carry the folder over")
}

// checkHost names everything at once that keeps this host from building. look is exec.LookPath
// but in tests.
func checkHost(ctx context.Context, look func(string) (string, error)) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, diag.Hint(errors.New("building a bundle needs root: it makes Debian file systems and unpacks images"), "run it with sudo -E"))
	}
	for _, t := range tools() {
		errs = append(errs, checkTool(t, look))
	}
	if python, err := look("python3"); err == nil {
		if err := (run.Command{Name: python, Args: []string{"-m", "pip", "--version"}}).Run(ctx); err != nil {
			errs = append(errs, diag.Hint(fmt.Errorf("python3 has no pip, which is needed to build the bundle: %w", err), "apt-get install -y python3-pip"))
		}
	}
	return errors.Join(errs...)
}

func checkTool(t tool, look func(string) (string, error)) error {
	if _, err := look(t.name); err != nil {
		return diag.Hint(fmt.Errorf("%s is needed to build the bundle and is not installed", t.name), t.install)
	}
	return nil
}

// checkSpace refuses a disk with too little room. free is freeSpace but in tests.
func checkSpace(dir string, need uint64, free func(string) (uint64, error)) error {
	have, err := free(dir)
	if err != nil {
		return fmt.Errorf("asking for free disk space: %w", err)
	}
	if have >= need {
		return nil
	}
	const gib = 1 << 30
	return diag.Hint(fmt.Errorf("%s has %.1f GiB free, building the bundle needs about %d GiB", dir, float64(have)/gib, need/gib),
		"make room there, or set XDG_CACHE_HOME to a folder on another disk")
}

// freeSpace is the room for this user on the disk of dir, which need not exist yet.
func freeSpace(dir string) (uint64, error) {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(dir, &s)
		if err == nil {
			return s.Bavail * uint64(s.Bsize), nil
		}
		if parent := filepath.Dir(dir); err == syscall.ENOENT && parent != dir {
			dir = parent
			continue
		}
		return 0, err
	}
}

// lookPath finds programs as the build will.
func lookPath(name string) (string, error) { return exec.LookPath(name) }
