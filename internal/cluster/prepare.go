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

	"github.com/meshfed/meshfed/internal/diag"
)

// Prepare applies what Facts.Adjustments says and returns the engine to use. Settings of the
// engine go to a file in dir, which is made when it is missing and belongs to the program; the
// host's own configuration is never edited. It is idempotent and changes nothing on a host that
// needs nothing. What only root may change is refused with the command that changes it.
func Prepare(ctx context.Context, f Facts, dir string) (Engine, error) {
	if !f.Root {
		return nil, diag.Hint(errors.New("clusters can be made by root only in this release"), "run the same command with sudo")
	}
	if f.CgroupV1 && f.NoRunc {
		return nil, diag.Hint(errors.New("this host has cgroup v1, and crun does not run there"), "apt-get install -y runc")
	}
	if f.NoModules {
		//nolint:gosec // readable by all, as every distribution makes it
		if err := os.MkdirAll("/lib/modules", 0o755); err != nil {
			return nil, diag.Hint(fmt.Errorf("making the folder that every node mounts: %w", err), "mkdir -p /lib/modules")
		}
	}
	for _, s := range f.sysctls() {
		if err := os.WriteFile(s.path, []byte(strconv.Itoa(s.want)), 0o600); err != nil {
			return nil, diag.Hint(fmt.Errorf("raising %s from %d: %w", s.name, s.have, err), fmt.Sprintf("sysctl -w %s=%d", s.name, s.want))
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conf := f.containersConf()
	// Whoever names a configuration in the environment has prepared the host.
	if conf == "" || os.Getenv("CONTAINERS_CONF") != "" {
		return Podman{}, nil
	}
	path := filepath.Join(dir, "containers.conf")
	if err := writeFile(path, conf); err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", f.Engine, err)
	}
	return Podman{Config: path}, nil
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
