// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// Engine is a container engine driven by its command line. Its methods are safe for concurrent
// use, block until the command has ended and return a *run.Error when it failed.
type Engine interface {
	// Name of the program: podman.
	Name() string
	// Run runs the engine with args and returns what it wrote to stdout, without the last
	// line break.
	Run(ctx context.Context, args ...string) (string, error)
	// Pipe is Run with a standard input and output of the caller's; either may be nil.
	Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error
	// Env lists KEY=value settings by which another process drives the same engine alike.
	Env() []string
}

// ErrNoEngine means that no container engine that can be used was found.
var ErrNoEngine = errors.New("no container engine found")

const podmanHint = "apt-get install -y podman runc (or your distribution's packages of podman)"

// Podman drives podman. The zero value uses the host's own configuration.
type Podman struct {
	// Config is a containers.conf that takes the place of the host's; empty for none.
	Config string
}

var _ Engine = Podman{}

// Name is podman.
func (Podman) Name() string { return "podman" }

// Env names the configuration, when there is one of our own.
func (p Podman) Env() []string {
	if p.Config == "" {
		return nil
	}
	return []string{"CONTAINERS_CONF=" + p.Config}
}

// Run runs podman with args.
func (p Podman) Run(ctx context.Context, args ...string) (string, error) {
	return run.Command{Name: p.Name(), Args: args, Env: p.Env()}.Output(ctx)
}

// Pipe runs podman with args, a standard input and a standard output.
func (p Podman) Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	return run.Command{Name: p.Name(), Args: args, Env: p.Env(), Stdin: stdin, Stdout: stdout}.Run(ctx)
}

// findEngine names the engine to use. Docker alone is refused by name: driving it is the next
// release.
func findEngine(look func(string) (string, error)) (string, error) {
	if _, err := look("podman"); err == nil {
		return "podman", nil
	}
	if _, err := look("docker"); err == nil {
		return "", diag.Hint(fmt.Errorf("%w: Docker is there, but this release drives podman only; Docker comes with the next release",
			ErrNoEngine), podmanHint)
	}
	return "", diag.Hint(fmt.Errorf("%w: podman is not in PATH", ErrNoEngine), podmanHint)
}

// lookPath is exec.LookPath for programs that only root has in its PATH.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, serr := exec.LookPath(dir + "/" + name); serr == nil {
			return path, nil
		}
	}
	return "", err
}

// absent says whether the engine failed because the thing that was named does not exist.
func absent(err error) bool {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return false
	}
	for _, text := range []string{"no such", "not found", "not known", "does not exist"} {
		if strings.Contains(strings.ToLower(failed.Output), text) {
			return true
		}
	}
	return false
}
