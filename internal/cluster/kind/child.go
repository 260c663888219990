// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	kinderrors "sigs.k8s.io/kind/pkg/errors"
	"sigs.k8s.io/kind/pkg/exec"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/run"
)

// ChildArgument is the hidden first argument of the binary by which the parent starts itself
// as the child: what follows it goes to ChildMain.
const ChildArgument = "__kind"

// docker is the name of the engine that is not podman.
const docker = "docker"

// order is what the parent writes to the child's standard input, as one JSON value. The parent
// then keeps the pipe open for as long as it lives.
type order struct {
	Spec  cluster.Spec  `json:"spec"`
	Facts cluster.Facts `json:"facts"`
	// Kubeconfig is a file for kind to write to, so that the user's own is left alone.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Dir is where logs go.
	Dir string `json:"dir,omitempty"`
}

// ChildMain is the child process: the only place where kind's library is called. args is
// "create" or "logs"; the order comes from stdin. Progress goes to stdout, one line for each
// state, and the debug log to stderr. It blocks until kind is done or ctx ends; on the latter
// kind goes on until the process ends, so the caller must exit.
func ChildMain(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s is run by the program itself, not by hand", ChildArgument)
	}
	var o order
	decoder := json.NewDecoder(stdin)
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("reading what to do from standard input: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		// The parent never writes again: the end of its pipe is the end of the parent.
		_, _ = io.Copy(io.Discard, stdin)
		cancel(errParentGone)
	}()
	done := make(chan error, 1)
	go func() { done <- act(args[0], o, &logger{states: stdout, log: stderr}) }()
	select {
	case err := <-done:
		if err != nil {
			_, _ = fmt.Fprintln(stdout, errorPrefix+strings.Join(strings.Fields(err.Error()), " "))
		}
		return err
	case <-ctx.Done():
		err := context.Cause(ctx)
		if errors.Is(err, errParentGone) {
			endGroup()
		}
		return err
	}
}

// errorPrefix begins the line by which the child tells the parent what went wrong.
const errorPrefix = "error: "

var errParentGone = errors.New("the process that asked for it has ended")

// endGroup ends what the child started, when it leads a group of its own. It is the parent's
// task while there is one.
func endGroup() {
	if syscall.Getpgrp() == syscall.Getpid() {
		// Nobody is left to be told of an error.
		_ = syscall.Kill(0, syscall.SIGTERM)
	}
}

// act calls kind. A failed create leaves what was made: it is the evidence, and Ensure knows
// how to go on from it.
func act(verb string, o order, log *logger) error {
	engine := kindcluster.ProviderWithPodman()
	if o.Facts.Engine == docker {
		engine = kindcluster.ProviderWithDocker()
	}
	provider := kindcluster.NewProvider(kindcluster.ProviderWithLogger(log), engine)
	switch verb {
	case "create":
		return explain(provider.Create(o.Spec.Name,
			kindcluster.CreateWithV1Alpha4Config(configFor(o.Spec, o.Facts)),
			kindcluster.CreateWithKubeconfigPath(o.Kubeconfig),
			kindcluster.CreateWithRetain(true)), log)
	case "logs":
		errs := withoutCrictl(provider.CollectLogs(o.Spec.Name, o.Dir))
		if len(errs) == 0 {
			return nil
		}
		return explain(kinderrors.NewAggregate(errs), log)
	}
	return fmt.Errorf("%s knows no %q", ChildArgument, verb)
}

// withoutCrictl lists the errors of collecting logs except that crictl is missing: node images
// made from source do not have it, and the list of images is not what a log is read for.
func withoutCrictl(err error) []error {
	if err == nil {
		return nil
	}
	list := kinderrors.Errors(err)
	if len(list) == 0 {
		if strings.Contains(err.Error(), "crictl images") {
			return nil
		}
		return []error{err}
	}
	var kept []error
	for _, one := range list {
		kept = append(kept, withoutCrictl(one)...)
	}
	return kept
}

// explain adds the end of what the failed command wrote to kind's error, which names only the
// command, and writes all of it to the log.
func explain(err error, log *logger) error {
	failed := exec.RunErrorForError(err)
	if failed == nil {
		return err
	}
	log.write(string(failed.Output))
	lines := bytes.Split(bytes.TrimSpace(failed.Output), []byte("\n"))
	return fmt.Errorf("%w: %s", err, run.Redact(strings.TrimSpace(string(lines[len(lines)-1]))))
}
