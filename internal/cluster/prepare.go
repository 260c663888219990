// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
)

// configName is the file of podman's settings in the folder that Prepare is given.
const configName = "containers.conf"

// Prepare applies what Facts.Adjustments says and returns the engine to use. Settings of podman
// go to a file in dir, which is made when it is missing and belongs to the program; the host's
// own configuration and Docker's daemon are never edited. It is idempotent and changes nothing
// on a host that needs nothing. What only root may change is refused with the command that
// changes it, unless clusters run without it: see Facts.Advice.
func Prepare(ctx context.Context, f Facts, dir string) (Engine, error) {
	if err := f.Permitted(); err != nil {
		return nil, err
	}
	if f.Engine != docker && !f.Remote && f.CgroupV1 && f.NoRunc {
		return nil, diag.Hint(errors.New("this host has cgroup v1, and crun does not run there"), "apt-get install -y runc")
	}
	if f.makesModules() {
		//nolint:gosec // readable by all, as every distribution makes it
		if err := os.MkdirAll("/lib/modules", 0o755); err != nil {
			return nil, diag.Hint(fmt.Errorf("making the folder that every node mounts: %w", err), "mkdir -p /lib/modules")
		}
	}
	if f.Root {
		for _, s := range f.sysctls() {
			if err := os.WriteFile(s.path, []byte(strconv.Itoa(s.want)), 0o600); err != nil {
				return nil, diag.Hint(fmt.Errorf("raising %s from %d: %w", s.name, s.have, err), fmt.Sprintf("sysctl -w %s=%d", s.name, s.want))
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Whoever names a configuration in the environment has prepared the host.
	conf := f.containersConf()
	if conf != "" && os.Getenv("CONTAINERS_CONF") == "" {
		if err := writeFile(filepath.Join(dir, configName), conf); err != nil {
			return nil, fmt.Errorf("writing the configuration of %s: %w", f.Engine, err)
		}
	}
	return open(f, dir, conf != ""), nil
}

// Permitted refuses podman without root: what it keeps for other users is not where clusters are.
func (f Facts) Permitted() error {
	if f.Engine == docker || f.Root {
		return nil
	}
	return diag.Hint(errors.New("with podman, clusters belong to root"), "run the same command with sudo, or use Docker, which needs no root")
}

// Open returns the engine as an earlier Prepare has left it, or as the host has it. It changes
// nothing.
func Open(f Facts, dir string) Engine {
	return open(f, dir, !missing(filepath.Join(dir, configName)))
}

func open(f Facts, dir string, configured bool) Engine {
	switch {
	case f.Engine == docker:
		return Docker{}
	case f.Remote || !configured || os.Getenv("CONTAINERS_CONF") != "":
		return Podman{}
	}
	return Podman{Config: filepath.Join(dir, configName)}
}

// Explain adds to the error of making a container what Docker's daemon lacks on a host that can
// not give every capability. Any other error is returned as it is.
func (f Facts) Explain(err error) error {
	if err == nil || f.Engine != docker || f.Remote || !f.NoSysResource {
		return err
	}
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"unable to apply caps", "capset", "setting rlimit", "rlimits", "oom_score_adj", "operation not permitted"} {
		if strings.Contains(text, sign) {
			return diag.Hint(fmt.Errorf("%w (CAP_SYS_RESOURCE is missing on this host, and Docker's runtime %s asks for it)", err, f.Runtime),
				"give the daemon a default runtime that leaves CAP_SYS_RESOURCE, rlimits and oomScoreAdj out (dockerd --add-runtime NAME=PROGRAM --default-runtime NAME), "+
					"or use podman: "+providerVariable+"="+podman)
		}
	}
	return err
}

// writeFile replaces a file in one step, so that an engine that runs meanwhile reads either
// the old or the new one.
func writeFile(path, text string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
