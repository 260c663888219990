// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"

	"github.com/meshfed/meshfed/internal/run"
)

// Engine is a container engine driven by its command line. Its methods are safe for concurrent
// use, block until the command has ended and return a *run.Error when it failed.
type Engine interface {
	// Name of the program: docker or podman.
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

// The names of the engines, which are the names of their programs.
const (
	docker = "docker"
	podman = "podman"
)

// Docker drives docker, which finds its daemon itself, by DOCKER_HOST or its current context.
// Nothing of the daemon is configured: it is the user's.
type Docker struct{}

// Podman drives podman. The zero value uses the host's own configuration.
type Podman struct {
	// Config is a containers.conf that takes the place of the host's; empty for none.
	Config string
}

var (
	_ Engine = Docker{}
	_ Engine = Podman{}
)

// Name is docker.
func (Docker) Name() string { return docker }

// Env is empty: another process of this host finds the same daemon.
func (Docker) Env() []string { return nil }

// Run runs docker with args.
func (d Docker) Run(ctx context.Context, args ...string) (string, error) {
	out, err := run.Command{Name: d.Name(), Args: args}.Output(ctx)
	return out, withoutHelp(err)
}

// Pipe runs docker with args, a standard input and a standard output.
func (d Docker) Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	return withoutHelp(run.Command{Name: d.Name(), Args: args, Stdin: stdin, Stdout: stdout}.Run(ctx))
}

// withoutHelp takes the advice out with which docker ends what it says: the line before it is
// the one that tells what is wrong.
func withoutHelp(err error) error {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return err
	}
	said := strings.TrimRight(failed.Output, "\r\n")
	rest, last := "", said
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		rest, last = said[:i], said[i+1:]
	}
	if !strings.HasPrefix(last, "See 'docker ") && !strings.HasPrefix(last, "Run 'docker ") {
		return err
	}
	return &run.Error{Command: failed.Command, Output: strings.TrimRight(rest, "\r\n"), Err: failed.Err}
}

// Name is podman.
func (Podman) Name() string { return podman }

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

// isDocker says whether the engine is Docker, where the two differ.
func isDocker(e Engine) bool { return e.Name() == docker }

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

// absent says whether the engine failed because the thing that was named does not exist. An
// engine that can not be reached is not taken for that, though its words are alike: "dial unix
// ...: no such file or directory", "context not found".
func absent(err error) bool {
	return said(err, "no such", "not found", "not known", "does not exist") &&
		!said(err, "no such file or directory", "no such host", "cannot connect", "failed to connect", "error during connect", "context \"")
}

// said says whether the engine failed with one of the texts, which are in lower case.
func said(err error, texts ...string) bool {
	var failed *run.Error
	if !errors.As(err, &failed) {
		return false
	}
	output := strings.ToLower(failed.Output)
	for _, text := range texts {
		if strings.Contains(output, text) {
			return true
		}
	}
	return false
}
