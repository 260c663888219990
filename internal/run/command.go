// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/poll"
)

// grace is how long a process group may take to end after SIGTERM.
const grace = 3 * time.Second

// Command is a program to run. The zero value of every field but Name is useful.
type Command struct {
	// Name of the program, found in PATH.
	Name string
	// Args after the name. They are visible to every user of the host: no secrets.
	Args []string
	// Env adds KEY=value to the environment of this process; later ones win.
	Env []string
	// Stdin is empty when nil.
	Stdin io.Reader
	// Stdout and Stderr receive the output, unredacted, besides what an error keeps.
	Stdout, Stderr io.Writer
	// Dir is the working directory; empty means this process's.
	Dir string
}

// Error is a program that could not start, failed or was stopped. It is printable:
// tokens and keys are redacted.
type Error struct {
	// Command is the command line.
	Command string
	// Output is the end of what the program wrote, at most 64 KiB.
	Output string
	// Err is why: an *exec.ExitError, an *exec.Error, or the context's error.
	Err error
}

// Error names the command, the reason and the last line that the program wrote.
func (e *Error) Error() string {
	text := fmt.Sprintf("running %s: %v", e.Command, Redact(e.Err.Error()))
	if line := lastLine(e.Output); line != "" {
		text += ": " + line
	}
	return text
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Output runs the command, blocks until it ends and returns what it wrote to stdout
// without the newlines at the end. Stderr is kept for the error. The error is an *Error.
func (c Command) Output(ctx context.Context) (string, error) {
	var out bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	} else {
		c.Stdout = io.MultiWriter(c.Stdout, &out)
	}
	err := c.Run(ctx)
	return strings.TrimRight(out.String(), "\r\n"), err
}

// Run runs the command and blocks until it ends. When ctx ends first, the program and all
// that it started get SIGTERM and, 3 s later, SIGKILL; the error then wraps ctx's error.
// The error is an *Error.
func (c Command) Run(ctx context.Context) error {
	kept := &tail{}
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	cmd.Stdout, cmd.Stderr = kept.besides(c.Stdout), kept.besides(c.Stderr)
	if len(c.Env) > 0 {
		cmd.Env = append(os.Environ(), c.Env...)
	}
	// A group of its own: Ctrl-C in the terminal reaches this process alone, which then
	// decides, and grandchildren can be ended together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = grace
	err := cmd.Run()
	// A daemon that the program left behind may hold its stdout; that is no failure.
	if errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		err = nil
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		if cmd.Process != nil {
			endGroup(ctx, cmd.Process.Pid)
		}
		err = fmt.Errorf("%w (%s)", ctx.Err(), err.Error())
	}
	return &Error{Command: c.String(), Output: kept.redacted(), Err: err}
}

// String is the command line, redacted, with quotes where a reader needs them.
func (c Command) String() string {
	words := []string{c.Name}
	for _, a := range c.Args {
		if a == "" || strings.ContainsAny(a, " \t\n\"'") {
			a = fmt.Sprintf("%q", a)
		}
		words = append(words, a)
	}
	return Redact(strings.Join(words, " "))
}

// endGroup waits for what the leader left in its group, which got SIGTERM already, and
// kills what does not end. ctx has ended, so only its values are used.
func endGroup(ctx context.Context, group int) {
	err := poll.Until(context.WithoutCancel(ctx), poll.Options{
		What: "the process group to end", Interval: 20 * time.Millisecond, Deadline: grace,
	}, func(context.Context) (bool, string, error) {
		return syscall.Kill(-group, 0) != nil, "still running", nil
	})
	if err != nil {
		// ESRCH is what is hoped for; nothing can be done about anything else.
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	s = s[strings.LastIndexByte(s, '\n')+1:]
	return diag.Clip(s, 300)
}
