// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/meshfed/meshfed/internal/run"
)

// fakeHost has the programs, variables and answers that a test gives it.
type fakeHost struct {
	programs []string
	env      map[string]string
	// version is what docker --version prints, info what docker info does, fails what it says
	// when it fails.
	version, info, fails, endpoint string
}

func (h fakeHost) finder() finder {
	return finder{
		look: func(name string) (string, error) {
			for _, p := range h.programs {
				if p == name {
					return "/usr/bin/" + name, nil
				}
			}
			return "", errors.New("not found")
		},
		env: func(name string) string { return h.env[name] },
		output: func(_ context.Context, program string, args ...string) (string, error) {
			switch line := program + " " + strings.Join(args, " "); {
			case line == "docker --version":
				return h.version, nil
			case strings.HasPrefix(line, "docker context inspect"):
				return h.endpoint, nil
			case strings.HasPrefix(line, "docker info") && h.fails == "":
				return h.info, nil
			default:
				return "", &run.Error{Command: line, Output: h.fails, Err: errors.New("exit status 1")}
			}
		},
	}
}

const (
	answers   = `{"ServerVersion": "20.10.24", "ClientInfo": {"Context": "default"}}`
	noDaemon  = `{"ServerErrors": ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"]}`
	noDaemon2 = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
	denied    = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
)

func TestFindEngine(t *testing.T) {
	t.Parallel()
	both := []string{"docker", "podman"}
	for name, test := range map[string]struct {
		host      fakeHost
		prefer    string
		want, why string
	}{
		"both, Docker runs":           {fakeHost{programs: both, info: answers}, "", "docker", "its daemon answers"},
		"Docker alone":                {fakeHost{programs: both[:1], info: answers}, "", "docker", "its daemon answers"},
		"a context":                   {fakeHost{programs: both, info: strings.Replace(answers, `"default"`, `"colima"`, 1)}, "", "docker", "docker context colima"},
		"both, Docker does not run":   {fakeHost{programs: both, info: noDaemon}, "", "podman", "no Docker daemon answers"},
		"both, a newer docker":        {fakeHost{programs: both, fails: noDaemon2}, "", "podman", "no Docker daemon answers"},
		"podman alone":                {fakeHost{programs: both[1:]}, "", "podman", "Docker is not installed"},
		"the shim":                    {fakeHost{programs: both, version: "podman version 4.3.1", info: answers}, "", "podman", "docker is podman here"},
		"the shim and DOCKER_HOST":    {fakeHost{programs: both, version: "podman version 4.3.1", env: map[string]string{"DOCKER_HOST": "unix:///x"}}, "", "podman", "docker is podman here"},
		"DOCKER_HOST":                 {fakeHost{programs: both, info: answers, env: map[string]string{"DOCKER_HOST": "tcp://x:1"}}, "", "docker", "DOCKER_HOST is set"},
		"DOCKER_CONTEXT":              {fakeHost{programs: both, info: answers, env: map[string]string{"DOCKER_CONTEXT": "x"}}, "", "docker", "DOCKER_CONTEXT is set"},
		"kind's variable":             {fakeHost{programs: both, info: answers, env: map[string]string{providerVariable: "podman", "DOCKER_HOST": "tcp://x:1"}}, "", "podman", "KIND_EXPERIMENTAL_PROVIDER names it"},
		"what an earlier run used":    {fakeHost{programs: both, info: answers, env: map[string]string{providerVariable: "docker"}}, "podman", "podman", "an earlier run used it"},
		"Docker, as an earlier run":   {fakeHost{programs: both, info: answers}, "docker", "docker", "an earlier run used it"},
		"Docker, by kind's variable":  {fakeHost{programs: both, info: answers, env: map[string]string{providerVariable: "docker"}}, "", "docker", "KIND_EXPERIMENTAL_PROVIDER names it"},
		"podman, though Docker is on": {fakeHost{programs: both, info: answers}, "podman", "podman", "an earlier run used it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.host.finder().find(t.Context(), test.prefer)
			if err != nil || got.engine != test.want || got.why != test.why {
				t.Errorf("%s because %s, %v", got.engine, got.why, err)
			}
		})
	}
}

func TestFindNoEngine(t *testing.T) {
	t.Parallel()
	both := []string{"docker", "podman"}
	at := map[string]string{"DOCKER_HOST": "tcp://user:secret@lab:2375"}
	for name, test := range map[string]struct {
		host       fakeHost
		prefer     string
		want, hint string
	}{
		"nothing":                          {fakeHost{}, "", "neither docker nor podman is in PATH", "apt-get install -y podman"},
		"docker without a daemon":          {fakeHost{programs: both[:1], info: noDaemon}, "", "no daemon answers it, and podman is not in PATH", "start Docker"},
		"DOCKER_HOST leads nowhere":        {fakeHost{programs: both, info: noDaemon, env: at}, "", "no Docker daemon answers at DOCKER_HOST tcp://", "unset DOCKER_HOST"},
		"DOCKER_CONTEXT leads nowhere":     {fakeHost{programs: both, fails: `context "x": context not found`, env: map[string]string{"DOCKER_CONTEXT": "x"}}, "", "of context x", "unset DOCKER_CONTEXT"},
		"DOCKER_HOST without docker":       {fakeHost{programs: both[1:], env: map[string]string{providerVariable: "docker"}}, "", "docker is not in PATH", "install Docker"},
		"nerdctl":                          {fakeHost{programs: both, env: map[string]string{providerVariable: "nerdctl"}}, "", "to be nerdctl, and meshfed drives docker and podman only", "unset KIND_EXPERIMENTAL_PROVIDER"},
		"podman that has gone":             {fakeHost{programs: both[:1], info: answers}, "podman", "podman is not in PATH, and an earlier run used it", "apt-get install"},
		"Docker that has gone":             {fakeHost{programs: both, info: noDaemon}, "docker", "an earlier run used it", "docker info shows what is wrong"},
		"Docker that is the shim":          {fakeHost{programs: both, version: "podman version 4.3.1"}, "docker", "docker is podman here", "KIND_EXPERIMENTAL_PROVIDER=podman"},
		"a daemon for others":              {fakeHost{programs: both, fails: denied}, "", "that this user may not use", "usermod -aG docker"},
		"a daemon for others, as recorded": {fakeHost{programs: both, fails: denied}, "docker", "that this user may not use", "usermod -aG docker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.host.finder().find(t.Context(), test.prefer)
			refused(t, err, test.want, test.hint)
			if !errors.Is(err, ErrNoEngine) {
				t.Errorf("%v is no ErrNoEngine", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v tells a password", err)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Error: No such network: x":                                                                 true,
		"Error response from daemon: network x not found":                                           true,
		"Error response from daemon: get x: no such volume":                                         true,
		"Error response from daemon: No such container: x":                                          true,
		"Error: x: image not known":                                                                 true,
		"Error: no container with name or ID \"x\" found: no such object":                           true,
		"Cannot connect to the Docker daemon at unix:///nosuch.sock. Is the docker daemon running?": false,
		"failed to connect to the docker API at unix:///x; check if the path is correct: dial unix /x: connect: no such file or directory":                                         false,
		"error during connect: Get \"http://x:1/\": dial tcp: lookup x: no such host":                                                                                              false,
		"Failed to initialize: unable to resolve docker endpoint: context \"nosuch\": context not found: open /home/someone/.docker/contexts/meta.json: no such file or directory": false,
		"Error: dial unix /run/podman/podman.sock: connect: no such file or directory":                                                                                             false,
		"permission denied": false,
	} {
		if got := absent(&run.Error{Command: "x", Output: text, Err: errors.New("exit status 1")}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if absent(nil) || absent(errors.New("no such network")) {
		t.Error("only what an engine said counts")
	}
}

func TestWithoutHelp(t *testing.T) {
	t.Parallel()
	for have, want := range map[string]string{
		"docker: it went wrong\n\nRun 'docker run --help' for more information\n": "docker: it went wrong",
		"docker: it went wrong\nSee 'docker run --help'.\n":                       "docker: it went wrong",
		"it went wrong\n": "it went wrong\n",
		"":                "",
	} {
		err := withoutHelp(&run.Error{Command: "docker run", Output: have, Err: errors.New("exit status 125")})
		var failed *run.Error
		if !errors.As(err, &failed) || failed.Output != want {
			t.Errorf("%q: %v", have, err)
		}
	}
	if err := withoutHelp(nil); err != nil {
		t.Error(err)
	}
}
