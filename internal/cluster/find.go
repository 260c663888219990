// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

const (
	// providerVariable is how users of kind choose an engine.
	providerVariable = "KIND_EXPERIMENTAL_PROVIDER"

	// Whoever names Docker waits for it; where it is only tried, podman may be meant.
	patience, trial = 20 * time.Second, 3 * time.Second

	podmanHint = "apt-get install -y podman runc (or your distribution's packages of podman)"
	dockerHint = "docker info shows what is wrong; start Docker, or choose another context with `docker context use`"
	engineHint = "install Docker (https://docs.docker.com/engine/install) or podman: " + podmanHint
)

// finder finds the engine. Its fields are what it asks of the host.
type finder struct {
	look   func(program string) (string, error)
	env    func(name string) string
	output func(ctx context.Context, program string, args ...string) (string, error)
}

func newFinder() finder {
	return finder{look: lookPath, env: os.Getenv,
		output: func(ctx context.Context, program string, args ...string) (string, error) {
			return run.Command{Name: program, Args: args}.Output(ctx)
		}}
}

// found is an engine, why it is the one, and what Docker's daemon said of itself.
type found struct {
	engine, why string
	info        dockerInfo
}

// find names the engine to use: the preferred one, or in this order the one that kind's variable
// names, Docker when DOCKER_HOST is set, Docker when its daemon answers, podman. What was named
// and can not be used is an error, never a reason to use something else.
func (f finder) find(ctx context.Context, prefer string) (found, error) {
	why := "an earlier run used it"
	if prefer == "" {
		prefer, why = f.env(providerVariable), providerVariable+" names it"
	}
	switch prefer {
	case "":
		return f.search(ctx)
	case podman:
		if !f.has(podman) {
			return found{}, diag.Hint(fmt.Errorf("%w: podman is not in PATH, and %s", ErrNoEngine, why), podmanHint)
		}
		return found{engine: podman, why: why}, nil
	case docker:
		return f.named(ctx, why)
	}
	return found{}, diag.Hint(fmt.Errorf("%w: the engine is to be %s, and meshfed drives docker and podman only", ErrNoEngine, prefer),
		"unset "+providerVariable+", or set it to docker or podman")
}

// search looks for an engine that nobody has named.
func (f finder) search(ctx context.Context) (found, error) {
	hasDocker := f.has(docker)
	if hasDocker && f.shim(ctx) {
		// What was meant for Docker is not for podman, which has variables of its own.
		return f.podman("docker is podman here")
	}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		if f.env(name) != "" {
			return f.named(ctx, name+" is set")
		}
	}
	if !hasDocker {
		return f.podman("Docker is not installed")
	}
	info, err := f.ask(ctx, trial)
	if err == nil {
		why := "its daemon answers"
		if name := info.ClientInfo.Context; name != "" && name != "default" {
			why = "docker context " + name
		}
		return found{engine: docker, why: why, info: info}, nil
	}
	if ctx.Err() != nil {
		return found{}, err
	}
	if said(err, "permission denied") {
		return found{}, refusedByDocker(err)
	}
	if f.has(podman) {
		return f.podman("no Docker daemon answers")
	}
	return found{}, diag.Hint(diag.Hint(fmt.Errorf("%w: docker is in PATH, but no daemon answers it, and podman is not in PATH: %w", ErrNoEngine, err),
		"or install podman: "+podmanHint), dockerHint)
}

func (f finder) podman(why string) (found, error) {
	if !f.has(podman) {
		return found{}, diag.Hint(fmt.Errorf("%w: neither docker nor podman is in PATH", ErrNoEngine), engineHint)
	}
	return found{engine: podman, why: why}, nil
}

// named asks the Docker that somebody has named.
func (f finder) named(ctx context.Context, why string) (found, error) {
	if !f.has(docker) {
		return found{}, diag.Hint(fmt.Errorf("%w: docker is not in PATH, and %s", ErrNoEngine, why), engineHint)
	}
	if f.shim(ctx) {
		return found{}, diag.Hint(fmt.Errorf("%w: docker is podman here, and Docker is meant, because %s", ErrNoEngine, why),
			"install Docker in place of the package podman-docker, or set "+providerVariable+"=podman")
	}
	info, err := f.ask(ctx, patience)
	switch {
	case err == nil:
		return found{engine: docker, why: why, info: info}, nil
	case ctx.Err() != nil:
		return found{}, err
	case said(err, "permission denied"):
		return found{}, refusedByDocker(err)
	}
	var text string
	if host := f.env("DOCKER_HOST"); host != "" {
		text = "no Docker daemon answers at DOCKER_HOST " + printable(host)
	} else if name := f.env("DOCKER_CONTEXT"); name != "" {
		text = "no Docker daemon answers of context " + name
	} else {
		text = "no Docker daemon answers, and it is Docker that is meant: " + why
	}
	err = fmt.Errorf("%w: %s: %w", ErrNoEngine, text, err)
	// What is said first is said last: hints read from the outside.
	if name, ok := strings.CutSuffix(why, " is set"); ok {
		err = diag.Hint(err, "or unset "+name+", so that the engine is looked for")
	}
	return found{}, diag.Hint(err, dockerHint)
}

// printable is an address without the password that it may hold.
func printable(host string) string {
	u, err := url.Parse(host)
	if err != nil {
		return "(no URL)"
	}
	return u.Redacted()
}

func refusedByDocker(err error) error {
	return diag.Hint(fmt.Errorf("%w: there is a Docker daemon that this user may not use: %w", ErrNoEngine, err),
		"sudo usermod -aG docker $USER and a new login, or run the same command with sudo; "+providerVariable+"=podman leaves Docker out")
}

func (f finder) has(program string) bool {
	_, err := f.look(program)
	return err == nil
}

// shim says whether docker is podman under another name, as the package podman-docker has it.
func (f finder) shim(ctx context.Context) bool {
	out, err := f.output(ctx, docker, "--version")
	return err == nil && strings.Contains(strings.ToLower(out), podman)
}

// ask asks Docker's daemon about itself.
func (f finder) ask(ctx context.Context, within time.Duration) (dockerInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out, err := f.output(bounded, docker, "info", "--format", "{{json .}}")
	if err != nil {
		return dockerInfo{}, err
	}
	info, err := parseDockerInfo(out)
	if err != nil {
		return dockerInfo{}, err
	}
	// The program succeeds without a daemon: then it has this to say.
	if len(info.ServerErrors) > 0 {
		text := strings.Join(info.ServerErrors, "; ")
		return dockerInfo{}, &run.Error{Command: "docker info", Output: text, Err: errors.New("no daemon")}
	}
	endpoint, err := f.output(bounded, docker, "context", "inspect", "--format", "{{json .Endpoints.docker.Host}}")
	if err == nil {
		info.endpoint = strings.Trim(endpoint, "\"\n")
	}
	return info, nil
}

// Engines lists the container engines that can be used, the one that is looked for first first.
func Engines() []string { return []string{docker, podman} }
