// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// removeAttempts is how often a container is asked to go: podman needs two attempts when
	// the processes were killed behind its back (the first only finds that out).
	removeAttempts = 3
	// removeTime is how long a removal may take that someone else has begun.
	removeTime = 30 * time.Second
)

// RemoveContainers removes containers at once, without time to stop, together with their
// anonymous volumes. Absent is success; nothing is asked about what is in them.
func RemoveContainers(ctx context.Context, e Engine, names ...string) error {
	var errs []error
	for _, name := range names {
		if err := removeContainer(ctx, e, name); err != nil {
			errs = append(errs, fmt.Errorf("removing container %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func removeContainer(ctx context.Context, e Engine, name string) error {
	args := []string{"rm", "--force", "--volumes"}
	if !isDocker(e) {
		// Docker never gives time.
		args = append(args, "--time", "0")
	}
	var err error
	for range removeAttempts {
		_, err = e.Run(ctx, append(args, name)...)
		if err == nil || absent(err) {
			return nil
		}
		if said(err, "already in progress") {
			return awaitGone(ctx, e, name)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

// awaitGone waits for a removal that Docker says is under way.
func awaitGone(ctx context.Context, e Engine, name string) error {
	return poll.Until(ctx, poll.Options{What: "its removal, which was under way", Interval: 100 * time.Millisecond, Deadline: removeTime},
		func(ctx context.Context) (bool, string, error) {
			_, err := inspectContainers(ctx, e, []string{name})
			if absent(err) {
				return true, "", nil
			}
			return false, "it is there", err
		})
}
