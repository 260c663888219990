// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// stuck is an engine whose containers never answer.
type stuck struct{ *clustertest.Engine }

func (s stuck) Run(ctx context.Context, args ...string) (string, error) {
	if args[0] == "exec" {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return s.Engine.Run(ctx, args...)
}

func (s stuck) Pipe(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	if args[0] == "exec" {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Engine.Pipe(ctx, stdin, stdout, args...)
}

// Nothing waits without end for a node that is frozen, and such a node is not taken for dead: its
// cluster would be removed.
func TestANodeThatNeverAnswers(t *testing.T) {
	t.Parallel()
	// Nothing listens there.
	p, e, _ := fakeProvider(t, "ok", exists("running", "meshfed-lab", 1)...)
	p.engine, p.execTime = stuck{e}, 20*time.Millisecond
	errs := map[string]error{"ensure": p.Ensure(t.Context(), west()), "write": p.writeRecord(t.Context(), record{Spec: west()})}
	_, errs["look"] = p.Look(t.Context(), west())
	_, errs["images"] = p.Images(t.Context(), "lab-west")
	for what, err := range errs {
		if !errors.Is(err, errSilent) || len(diag.Hints(err)) == 0 {
			t.Errorf("%s: %v, hints %q", what, err, diag.Hints(err))
		}
	}
	if calls := e.Calls("rm"); len(calls) > 0 {
		t.Errorf("removed: %q", calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Look(ctx, west()); !errors.Is(err, context.Canceled) || errors.Is(err, errSilent) {
		t.Errorf("cancelled: %v", err)
	}
}

// An engine that is started again while a cluster is looked at must not cost that cluster.
func TestEngineStartedAgainWhileLooking(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	broken := clustertest.Answer{To: "exec lab-west-control-plane sh -c", Fails: "Cannot connect to the Docker daemon", Once: true}
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		want    string
	}{
		"it is away":       {[]clustertest.Answer{{To: "ps", Out: "id", Once: true}, {To: "ps", Fails: "Cannot connect to the Docker daemon"}}, "Cannot connect"},
		"it has come back": {[]clustertest.Answer{{To: "container inspect", Out: inspect("lab-west", "running", "meshfed-lab", 1), Once: true}, {To: "container inspect", Out: inspect("lab-west", "exited", "meshfed-lab", 1)}}, "was stopped or started while"},
		"it was nothing":   {[]clustertest.Answer{{To: "container inspect", Out: inspect("lab-west", "running", "meshfed-lab", 1), Once: true}, {To: "container inspect", Out: inspect("lab-west", "running", "meshfed-lab", port)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := append(append([]clustertest.Answer{broken}, test.answers...), append(exists("running", "meshfed-lab", 1), recorded(t, west(), admin))...)
			p, e, _ := fakeProvider(t, "ok", answers...)
			got, err := p.Look(t.Context(), west())
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s (%s), %v", got.State, got.Reason, err)
			}
			if calls := e.Calls("rm"); len(calls) > 0 || got.State == "half-made" {
				t.Errorf("%s, removed: %q", got.State, calls)
			}
		})
	}
}

// Docker ends with the name of what did not start; what is wrong stands before it.
func TestReasoned(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"Error response from daemon: driver failed: Bind for 127.0.0.1:1 failed: port is already allocated\nError: failed to start containers: x\n": "port is already allocated",
		"Error response from daemon: once": "once",
		"something else":                   "something else",
	} {
		err := reasoned(&run.Error{Command: "docker start x", Output: output, Err: errors.New("exit status 1")})
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q: %v", output, err)
		}
	}
	if err := errors.New("other"); reasoned(err) != err {
		t.Error("another error was changed")
	}
}
