// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package clustertest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/meshfed/meshfed/internal/run"
)

// Answer is what the engine says to a command.
type Answer struct {
	// To is how the command line begins.
	To string
	// Out is written to stdout.
	Out string
	// Fails is what the engine writes when it fails; empty when it succeeds.
	Fails string
	// Once says that the answer is given only to the first such command.
	Once bool
}

// Engine has the methods of a cluster.Engine. It gives the first answer that fits; a command without one
// succeeds and says nothing. It is safe for concurrent use.
type Engine struct {
	// Engine is its name; empty means podman.
	Engine string
	// Answers in order of preference.
	Answers []Answer

	mu    sync.Mutex
	calls []string
	given map[int]bool
	stdin []string
}

// Name is podman unless it was given another.
func (e *Engine) Name() string { return cmp.Or(e.Engine, "podman") }

// Env is empty.
func (*Engine) Env() []string { return nil }

// Run answers.
func (e *Engine) Run(ctx context.Context, args ...string) (string, error) {
	return e.answer(ctx, strings.Join(args, " "))
}

// Pipe answers, and records all of stdin.
func (e *Engine) Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	if stdin != nil {
		data, err := io.ReadAll(stdin)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.stdin = append(e.stdin, string(data))
		e.mu.Unlock()
	}
	out, err := e.answer(ctx, strings.Join(args, " "))
	if stdout != nil {
		_, werr := io.WriteString(stdout, out)
		err = errors.Join(err, werr)
	}
	return err
}

func (e *Engine) answer(ctx context.Context, line string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, line)
	for i, a := range e.Answers {
		if !strings.HasPrefix(line, a.To) || a.Once && e.given[i] {
			continue
		}
		if e.given == nil {
			e.given = map[int]bool{}
		}
		e.given[i] = true
		if a.Fails != "" {
			return "", &run.Error{Command: e.Name() + " " + line, Output: a.Fails, Err: errors.New("exit status 125")}
		}
		return a.Out, nil
	}
	return "", nil
}

// Calls lists the command lines so far that begin with prefix.
func (e *Engine) Calls(prefix string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var calls []string
	for _, c := range e.calls {
		if strings.HasPrefix(c, prefix) {
			calls = append(calls, c)
		}
	}
	return calls
}

// Stdin lists what was written to commands so far.
func (e *Engine) Stdin() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.stdin...)
}
