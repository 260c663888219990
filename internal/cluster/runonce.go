// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// RunSpec is a container that runs one command.
type RunSpec struct {
	// Name of the container; it must be free.
	Name string
	// Network that it joins.
	Network string
	// Image that the engine has: nothing is pulled.
	Image string
	// Labels by which it is known to be ours, should this process be killed. There is one at least.
	Labels map[string]string
	// Entrypoint is the program to run; empty for the image's own.
	Entrypoint string
	// Args of the entrypoint.
	Args []string
	// Stdin and Stdout are the program's where it has a Stdin.
	Stdin  io.Reader
	Stdout io.Writer
}

// cleanTime bounds the removal of a container that was interrupted.
const cleanTime = 20 * time.Second

// RunOnce runs a container, blocks until it ends, removes it and returns what it wrote to
// stdout, unless it was given one. When it fails, or ctx ends, no container is left, and the error holds the last line
// that it wrote. One of the same name and labels that a killed process left is replaced.
func RunOnce(ctx context.Context, e Engine, s RunSpec) (string, error) {
	if len(s.Labels) == 0 {
		return "", fmt.Errorf("running container %s: it has no labels to be known by", s.Name)
	}
	args := []string{"run", "--rm", "--pull", "never", "--name", s.Name, "--network", s.Network}
	run := e.Run
	if s.Stdin != nil {
		args = append(args, "--interactive")
		run = func(ctx context.Context, args ...string) (string, error) {
			return "", e.Pipe(ctx, s.Stdin, s.Stdout, args...)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		args = append(args, "--label", key+"="+s.Labels[key])
	}
	if s.Entrypoint != "" {
		args = append(args, "--entrypoint", s.Entrypoint)
	}
	args = append(append(args, s.Image), s.Args...)
	out, err := run(ctx, args...)
	if said(err, "already in use") {
		if err = s.removeLeftover(ctx, e, err); err == nil {
			out, err = run(ctx, args...)
		}
	}
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		// The program was stopped, and the container may have outlived it.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		err = errors.Join(err, s.removeLeftover(clean, e, nil))
	}
	return out, fmt.Errorf("running container %s: %w", s.Name, err)
}

// removeLeftover removes a container that has the name, if it is surely our own: else the
// conflict is returned.
func (s RunSpec) removeLeftover(ctx context.Context, e Engine, conflict error) error {
	list, err := inspectContainers(ctx, e, []string{s.Name})
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range list {
		if !carries(c.Labels, s.Labels) {
			return conflict
		}
	}
	return RemoveContainers(ctx, e, s.Name)
}

// carries says whether all labels of want are in have.
func carries(have, want map[string]string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			return false
		}
	}
	return true
}
