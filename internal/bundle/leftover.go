// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
)

// procDir is where the kernel lists processes.
const procDir = "/proc"

// leftoverGrace is how long a process of a killed build gets to end by itself.
const leftoverGrace = 3 * time.Second

// endLeftovers ends what a killed build has left running: containerd, which survives the end
// of whoever reads its log, and installers and compilers that are about to notice. They are
// known by a path below an unfinished folder of this cache in their arguments; with the lock
// of the cache held, nobody else works there. It blocks for a few seconds at most, and not at
// all when there is none.
func endLeftovers(ctx context.Context, proc, cacheDir string) error {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return fmt.Errorf("looking for processes of an earlier build: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args := arguments(proc, pid)
		if !leftover(args, cacheDir) {
			continue
		}
		if err := end(ctx, proc, pid); err != nil {
			return fmt.Errorf("ending %s (process %d) of an earlier build: %w", filepath.Base(args[0]), pid, err)
		}
		if err := removeState(args); err != nil {
			return fmt.Errorf("removing what an earlier build left: %w", err)
		}
	}
	return nil
}

// arguments are those of a process, none when it has ended.
func arguments(proc string, pid int) []string {
	data, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return splitZero(data)
}

// leftover says whether a process is one that a build starts, at work in an unfinished folder
// of this cache. An editor or a shell that somebody has there is none.
func leftover(args []string, cacheDir string) bool {
	if len(args) == 0 || !slices.Contains([]string{"containerd", "ctr", "unshare", "perl", "mmdebstrap", "go", "python3"}, filepath.Base(args[0])) {
		return false
	}
	return slices.ContainsFunc(args[1:], func(a string) bool {
		rest, ok := strings.CutPrefix(a, cacheDir+string(filepath.Separator))
		return ok && strings.Contains(rest, string(filepath.Separator)+unfinished)
	})
}

// end stops one process, gently first.
func end(ctx context.Context, proc string, pid int) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		err := poll.Until(ctx, poll.Options{What: "the process to end", Interval: 20 * time.Millisecond, Deadline: leftoverGrace},
			func(context.Context) (bool, string, error) {
				return len(arguments(proc, pid)) == 0, "still running", nil
			})
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("still running after SIGKILL")
}

// removeState removes the folder that fillStore made for the containerd with these arguments.
func removeState(args []string) error {
	i := slices.Index(args, "--config")
	if i < 0 || i+1 >= len(args) {
		return nil
	}
	dir := filepath.Dir(args[i+1])
	if !strings.HasPrefix(filepath.Base(dir), "meshfed-store-") {
		return nil
	}
	return os.RemoveAll(dir)
}
