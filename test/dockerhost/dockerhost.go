// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package dockerhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/run"
)

const (
	// startTime and stopTime bound what they say, on a host with much else to do.
	startTime, stopTime = 2 * time.Minute, time.Minute
	// longestDir is what leaves room for the names of sockets below it: 108 bytes for all.
	longestDir = 70

	runtimePackage = "github.com/meshfed/meshfed/test/dockerhost/boundedrunc"
)

// ErrNoDocker means that there is no dockerd on this host.
var ErrNoDocker = errors.New("no dockerd on this host")

// Options of Start; the zero value is good.
type Options struct {
	// Dockerd is the program; empty means the first of PATH, /usr/sbin and /usr/local/bin.
	Dockerd string
	// Runtime is a built boundedrunc; empty means to build one where one is needed, for which
	// the working folder must be in this module.
	Runtime string
}

// Daemon is a Docker Engine that Start has started.
type Daemon struct {
	dir  string
	pid  int
	done chan struct{}
}

// Start is Options{}.Start.
func Start(ctx context.Context, dir string) (*Daemon, error) { return Options{}.Start(ctx, dir) }

// Start starts a Docker Engine whose files are all below dir, which is made, and blocks until
// it answers. It needs root. The daemon outlives ctx: Stop ends it. What an earlier daemon left
// in dir, running or dead, is stopped first; its images and containers are there again.
func (o Options) Start(ctx context.Context, dir string) (*Daemon, error) {
	d, err := o.start(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("starting a Docker Engine in %s: %w", dir, err)
	}
	return d, nil
}

func (o Options) start(ctx context.Context, dir string) (*Daemon, error) {
	dockerd := o.Dockerd
	if dockerd == "" {
		var err error
		if dockerd, err = find("dockerd"); err != nil {
			return nil, diag.Hint(fmt.Errorf("%w: %w", ErrNoDocker, err), "apt-get install -y --no-install-recommends docker.io")
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if len(dir) > longestDir {
		return nil, fmt.Errorf("the path has %d bytes; names of sockets leave room for %d", len(dir), longestDir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := leftover(ctx, dir); err != nil {
		return nil, err
	}
	args, err := o.arguments(ctx, dir)
	if err != nil {
		return nil, err
	}
	// Empty, and in the place of what a system's own daemon reads.
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}\n"), 0o600); err != nil {
		return nil, err
	}
	// Added to: what an earlier daemon said may be why this one is in trouble.
	log, err := os.OpenFile(filepath.Join(dir, "dockerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(dockerd, args...) //nolint:contextcheck,noctx // it outlives ctx
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: a Ctrl-C is for the test, which then stops the daemon.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{dir: dir, pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		// How it ended is in its log.
		_ = cmd.Wait()
		close(d.done)
	}()
	if err := d.answers(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, d.lastWords()), d.stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// Host is the value of DOCKER_HOST that leads to the daemon.
func (d *Daemon) Host() string { return "unix://" + d.socket() }

func (d *Daemon) socket() string { return filepath.Join(d.dir, "docker.sock") }

// Stop ends the daemon and its containers, and takes the interfaces of its networks from this
// host. It is bounded by two minutes: what does not end by itself is killed. What the daemon kept
// stays in its folder, networks too, and is there again after the next Start.
func (d *Daemon) Stop() error { return d.stop(context.Background()) }

func (d *Daemon) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*stopTime)
	defer cancel()
	// A daemon that is dead already tells nothing, and its successor looks after the networks.
	bridges, _ := d.bridges(ctx)
	err := end(ctx, d.dir, d.pid, func() bool {
		select {
		case <-d.done:
			return true
		default:
			return false
		}
	})
	return errors.Join(err, removeBridges(ctx, bridges))
}

// answers waits until the engine answers, or is gone.
func (d *Daemon) answers(ctx context.Context) error {
	return poll.Until(ctx, poll.Options{What: "dockerd to answer", Interval: 100 * time.Millisecond, Deadline: startTime},
		func(ctx context.Context) (bool, string, error) {
			select {
			case <-d.done:
				return false, "", poll.Stop(errors.New("dockerd has ended"))
			default:
			}
			err := d.get(ctx, "/_ping", nil)
			return err == nil, "", err
		})
}

// lastWords is the last line of the daemon's log.
func (d *Daemon) lastWords() string {
	data, err := os.ReadFile(filepath.Join(d.dir, "dockerd.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// arguments of dockerd.
func (o Options) arguments(ctx context.Context, dir string) ([]string, error) {
	args := []string{
		"--host", "unix://" + filepath.Join(dir, "docker.sock"), "--pidfile", filepath.Join(dir, "dockerd.pid"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--config-file", filepath.Join(dir, "daemon.json"),
		// Two daemons can not both have docker0; kind needs networks of its own only.
		"--bridge", "none",
		// Turning it on would close forwarding for everything else on this host.
		"--ip-forward=false",
		// A containerd that serves the whole host is shared, what is in it is not.
		"--containerd-namespace", namespace(dir), "--containerd-plugins-namespace", namespace(dir) + "-plugins",
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		args = append(args, "--exec-opt", "native.cgroupdriver=cgroupfs")
	}
	others, err := daemons()
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		// A daemon that starts empties the chains of every other one. Ports on loopback are
		// served by a proxy and need no rules.
		args = append(args, "--iptables=false")
	}
	bounded, err := bounded()
	if err != nil || !bounded {
		return args, err
	}
	program := o.Runtime
	if program == "" {
		program = filepath.Join(dir, "boundedrunc")
		build := run.Command{Name: "go", Args: []string{"build", "-o", program, runtimePackage}, Env: []string{"CGO_ENABLED=0"}}
		if _, err := build.Output(ctx); err != nil {
			return nil, err
		}
	}
	return append(args, "--add-runtime", "bounded="+program, "--default-runtime", "bounded"), nil
}
