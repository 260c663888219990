// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/internal/run"
)

func shell(script string, args ...string) run.Command {
	return run.Command{Name: "sh", Args: append([]string{"-c", script, "sh"}, args...)}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	c := shell(`read line; echo "$line $PLANET"; echo noise >&2; pwd`)
	c.Stdin, c.Env, c.Stderr, c.Dir = strings.NewReader("hello\n"), []string{"PLANET=earth"}, &errs, "/"
	out, err := c.Output(t.Context())
	if err != nil || out != "hello earth\n/" || errs.String() != "noise\n" {
		t.Errorf("out %q, stderr %q, err %v", out, errs.String(), err)
	}
	if os.Getenv("PATH") == "" {
		t.Skip("no PATH")
	}
	c = shell(`echo "$PATH"`)
	c.Env = []string{"X=1"}
	if out, err := c.Output(t.Context()); err != nil || out != os.Getenv("PATH") {
		t.Errorf("Env must add and not replace: PATH is %q, err %v", out, err)
	}
}

func TestOneWriterForBothStreams(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer // no lock: the race detector watches
	c := shell(`for i in 1 2 3 4 5 6 7 8 9; do echo out; echo err >&2; done`)
	c.Stdout, c.Stderr = &all, &all
	if err := c.Run(t.Context()); err != nil || strings.Count(all.String(), "out\n") != 9 || strings.Count(all.String(), "err\n") != 9 {
		t.Errorf("%q, %v", all.String(), err)
	}
}

func TestErrorTellsWhatHappened(t *testing.T) {
	t.Parallel()
	err := shell(`echo starting; echo "port 80: in use" >&2; exit 7`).Run(t.Context())
	var failed *run.Error
	var exit *exec.ExitError
	if !errors.As(err, &failed) || !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"running sh -c", "exit status 7", "port 80: in use"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	// The two streams are two pipes: each keeps its order, which of them is read first is open.
	if o := failed.Output; o != "starting\nport 80: in use\n" && o != "port 80: in use\nstarting\n" {
		t.Errorf("output %q", o)
	}
	missing := run.Command{Name: "meshfed-no-such-program"}.Run(t.Context())
	if !errors.Is(missing, exec.ErrNotFound) || !errors.As(missing, &failed) {
		t.Errorf("a missing program: %v", missing)
	}
}

func TestErrorKeepsTheEndOfTheOutput(t *testing.T) {
	t.Parallel()
	err := shell(`i=0; while [ $i -lt 9000 ]; do echo "line $i of the noise that this program makes"; i=$((i+1)); done; echo last; exit 1`).Run(t.Context())
	var failed *run.Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if n := len(failed.Output); n > 64<<10+16 || n < 60<<10 {
		t.Errorf("kept %d bytes", n)
	}
	if !strings.HasPrefix(failed.Output, "[...]\nline ") || !strings.HasSuffix(failed.Output, "\nlast\n") {
		t.Errorf("cut badly: %q ... %q", failed.Output[:40], failed.Output[len(failed.Output)-40:])
	}
}

// started runs a script that writes its own pid and that of a child into a file, and
// returns both once they are there.
func started(t *testing.T, ctx context.Context, script string) (pids []int, done chan error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pids")
	done = make(chan error, 1)
	go func() { done <- shell(script, file).Run(ctx) }()
	err := poll.Until(t.Context(), poll.Options{What: "the script", Interval: 10 * time.Millisecond, Deadline: 10 * time.Second},
		func(context.Context) (bool, string, error) {
			data, err := os.ReadFile(file)
			words := strings.Fields(string(data))
			if err != nil || len(words) < 2 {
				return false, string(data), err
			}
			pids = nil
			for _, w := range words {
				n, err := strconv.Atoi(w)
				if err != nil {
					return false, "", poll.Stop(err)
				}
				pids = append(pids, n)
			}
			return true, "", nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return pids, done
}

// gone says whether a process has ended; a zombie, whose parent is not us, counts.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, script string
		atMost       time.Duration
	}{
		{"polite", `sleep 300 & echo $$ $! >"$1.tmp"; mv "$1.tmp" "$1"; wait`, 2 * time.Second},
		{"deaf leader and child", `trap "" TERM; (trap "" TERM; while :; do sleep 0.1; done) & echo $$ $! >"$1.tmp"; mv "$1.tmp" "$1"; while :; do sleep 0.1; done`, 8 * time.Second},
		{"deaf child of a polite leader", `(trap "" TERM; while :; do sleep 0.1; done) & echo $$ $! >"$1.tmp"; mv "$1.tmp" "$1"; wait`, 8 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			pids, done := started(t, ctx, c.script)
			start := time.Now()
			cancel()
			err := <-done
			if took := time.Since(start); took > c.atMost {
				t.Errorf("took %s", took)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			err = poll.Until(t.Context(), poll.Options{What: "the end", Interval: 10 * time.Millisecond, Deadline: time.Second},
				func(context.Context) (bool, string, error) { return gone(pids[0]) && gone(pids[1]), "alive", nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOwnProcessGroup(t *testing.T) {
	t.Parallel()
	out, err := shell(`ps -o pgid= -p $$ 2>/dev/null || cut -d" " -f5 /proc/$$/stat; echo $$`).Output(t.Context())
	words := strings.Fields(out)
	if err != nil || len(words) != 2 || words[0] != words[1] {
		t.Errorf("group and pid %q, err %v", out, err)
	}
}

func TestADaemonLeftBehindIsNoFailure(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := shell(`sleep 6 & echo ready`)
	c.Stdout = io.Writer(&out)
	start := time.Now()
	if err := c.Run(t.Context()); err != nil || out.String() != "ready\n" {
		t.Errorf("out %q, err %v", out.String(), err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("waited %s for the daemon", took)
	}
}
