// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/run"
)

// nodesRun is the state of kind in which every node's container runs.
const nodesRun = "writing configuration"

// create runs kind in a child process. It calls running as soon as the containers run, and
// never when it comes not so far.
func (p *Provider) create(ctx context.Context, s cluster.Spec, running func()) error {
	// kind insists on writing a kubeconfig; this one nobody needs. What a killed process left
	// there goes first.
	dir := p.scratch(s.Name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	// Not MkdirAll: a folder that someone else put there meanwhile is not ours to trust.
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	err := p.child(ctx, "create", order{Spec: s, Facts: p.facts, Kubeconfig: filepath.Join(dir, "kubeconfig")},
		func(state string) {
			if state == nodesRun {
				running()
			}
		})
	return errors.Join(err, os.RemoveAll(dir))
}

// scratch is a folder that lives while a cluster is made.
func (p *Provider) scratch(name string) string {
	base := p.Dir
	if base == "" {
		base = os.TempDir()
	}
	return filepath.Join(base, "meshfed-kind-"+name)
}

// child starts this program again as ChildMain and waits for it. On a cancelled context the
// child and all that it started are ended within 3 s.
func (p *Provider) child(ctx context.Context, verb string, o order, state func(string)) error {
	command, err := p.command()
	if err != nil {
		return err
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	// A pipe and not a buffer: its end tells the child that this process is gone.
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	defer pipe.Close()
	// Beside the child, which reads it: patches may be larger than what a pipe holds. A child
	// that ends first ends this too, by the closing of both ends, and says why itself.
	go func() { _, _ = pipe.Write(append(data, '\n')) }()
	var said error
	states := &lines{each: func(line string) {
		if text, ok := strings.CutPrefix(line, errorPrefix); ok {
			said = errors.New(text)
			return
		}
		p.observe(ctx, o.Spec.Name, line)
		state(line)
	}}
	logged := &lines{each: func(line string) { p.log("kind: " + o.Spec.Name + ": " + line) }}
	err = run.Command{
		Name:  command[0],
		Args:  append(command[1:], ChildArgument, verb),
		Env:   slices.Concat(p.engine.Env(), kindEnv(p.engine.Name(), p.network)),
		Stdin: stdin, Stdout: states, Stderr: logged,
	}.Run(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopping kind: %w", ctx.Err())
	}
	if said != nil {
		return said
	}
	return err
}

// kindEnv tells kind which engine and network to use.
func kindEnv(engine, network string) []string {
	return []string{"KIND_EXPERIMENTAL_PROVIDER=" + engine, "KIND_EXPERIMENTAL_" + strings.ToUpper(engine) + "_NETWORK=" + network}
}

// command is this program, or what the tests put in its place.
func (p *Provider) command() ([]string, error) {
	if len(p.Command) > 0 {
		return p.Command, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return []string{self}, nil
}

// lines calls each for every whole line that is written.
type lines struct {
	each func(string)
	rest []byte
}

// Write never fails.
func (l *lines) Write(data []byte) (int, error) {
	l.rest = append(l.rest, data...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(data), nil
		}
		l.each(strings.TrimRight(string(line), "\r"))
		l.rest = append([]byte(nil), rest...)
	}
}
