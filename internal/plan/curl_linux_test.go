// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/verify"
)

// thisHost is an engine whose containers are processes of this host: the script of the outside
// client runs as it does in a container.
type thisHost struct {
	clustertest.Engine
	// path is searched for programs before PATH is.
	path string
	env  []string
	// broken, if set, is how every container ends before it has read anything.
	broken func() error

	mu    sync.Mutex
	lines []string
}

func (h *thisHost) Pipe(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	h.mu.Lock()
	h.lines = append(h.lines, strings.Join(args, " "))
	h.mu.Unlock()
	if h.broken != nil {
		return h.broken()
	}
	i := slices.Index(args, "--entrypoint")
	// The image stands between the entrypoint and its arguments.
	return run.Command{Name: args[i+1], Args: args[i+3:], Stdin: in, Stdout: out, Env: append(h.env, "PATH="+h.path+":"+os.Getenv("PATH"))}.Run(ctx)
}

// outsideOf is the outside container of a mesh on an engine.
func outsideOf(t *testing.T, e *thisHost) verify.Outside {
	t.Helper()
	m := newMesh(t, example)
	m.Provider = &hosted{names: []string{"usmesh-west", "usmesh-east"}}
	m.Engine = &clustertest.Engine{Answers: containersOf("usmesh-west-control-plane running")}
	outside := m.outside(t.Context(), nil)[1]
	if outside.Unusable != "" {
		t.Fatal(outside.Unusable)
	}
	e.Answers = []clustertest.Answer{{To: "container inspect", Fails: "Error: no such container"}}
	m.Engine = e
	return outside
}

// curlThat is a host whose curl prints, says and ends as it is told.
func curlThat(t *testing.T, prints, says string, code int) *thisHost {
	t.Helper()
	h := &thisHost{path: t.TempDir()}
	h.env = []string{"TMPDIR=" + h.path}
	program := fmt.Sprintf("#!/bin/sh\ncat %[1]s/prints\n[ %[2]d = 0 ] || echo 'curl: %[3]s' >&2\nexit %[2]d\n", h.path, code, says)
	for name, text := range map[string]string{"prints": prints, "curl": program} {
		if err := os.WriteFile(filepath.Join(h.path, name), []byte(text), 0o700); err != nil { //nolint:gosec // a program must be one
			t.Fatal(err)
		}
	}
	return h
}

func TestAnswersThatCurlPrints(t *testing.T) {
	t.Parallel()
	head := "HTTP/1.1 200 OK\r\nServer: istio-envoy\r\n"
	for name, test := range map[string]struct {
		prints string
		status int
		body   string
	}{
		"with its length":     {head + "Content-Length: 5\r\n\r\nhello", 200, "hello"},
		"chunked":             {head + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, "hello"},
		"without its length":  {head + "\r\nhello", 200, "hello"},
		"newlines at its end": {head + "Content-Length: 8\r\n\r\nhello\n\r\n", 200, "hello\n\r\n"},
		"empty":               {head + "Content-Length: 0\r\n\r\n", 200, ""},
		"empty, no length":    {head + "\r\n", 200, ""},
		"no content":          {strings.Replace(head, "200 OK", "204 No Content", 1) + "\r\n", 204, ""},
		"another status":      {strings.Replace(head, "200 OK", "503 Service Unavailable", 1) + "Content-Length: 4\r\n\r\nbusy", 503, "busy"},
		"far too long":        {head + "\r\n" + strings.Repeat("x", 8*outsideBody), 200, strings.Repeat("x", outsideBody)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outsideOf(t, curlThat(t, test.prints, "", 0))
			defer o.Done()
			answer, err := o.Get(t.Context(), "http://198.51.100.200", "shop.example")
			want := verify.OutsideAnswer{Status: test.status, Body: []byte(test.body), Headers: answer.Headers}
			if diff := cmp.Diff(want, answer); err != nil || diff != "" || answer.Headers["Server"] != "istio-envoy" {
				t.Errorf("%v, headers %v (-want +got):\n%.2000s", err, answer.Headers, diff)
			}
		})
	}
}

// TestCurlThatFails: what it found out about the mesh is an answer; that it could not run is
// none.
func TestCurlThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		engine  *thisHost
		notSent bool
	}{
		"half an answer":  {curlThat(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", "(18) transfer closed", 18), false},
		"no permission":   {curlThat(t, "", "permission denied", 126), true},
		"no curl":         {curlThat(t, "", "not found", 127), true},
		"killed":          {curlThat(t, "", "killed", 137), true},
		"no container":    {&thisHost{broken: func() error { return errors.New("no such image") }}, true},
		"it ends at once": {&thisHost{broken: func() error { return nil }}, true},
		"it is no answer": {curlThat(t, "Hello", "", 0), true},
		"nothing":         {curlThat(t, "", "", 0), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outsideOf(t, test.engine)
			defer o.Done()
			for range 2 { // what has ended is started again
				answer, err := o.Get(t.Context(), "http://198.51.100.200", "shop.example")
				if err == nil || errors.Is(err, verify.ErrNotSent) != test.notSent || answer.Status != 0 {
					t.Errorf("%+v, %v", answer, err)
				}
			}
		})
	}
}

// TestHowCurlFailedIsClassified as the client of this host would be: a reset is a denial, and
// a container must be able to see one.
func TestHowCurlFailedIsClassified(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code int
		says string
		want string
	}{
		"reset while receiving":  {56, "(56) Recv failure: Connection reset by peer", probe.ErrReset},
		"reset while sending":    {55, "(55) Send failure: Connection reset by peer", probe.ErrReset},
		"gone while sending":     {55, "(55) Send failure: Broken pipe", probe.ErrReset},
		"reset in the handshake": {35, "(35) OpenSSL SSL_connect: Connection reset by peer in connection to 198.51.100.200:80", probe.ErrReset},
		"closed":                 {52, "(52) Empty reply from server", probe.ErrClosed},
		"nobody listens":         {7, "(7) Failed to connect to 198.51.100.200 port 80 after 0 ms: no connection to server", probe.ErrRefused},
		"no answer":              {28, "(28) Operation timed out after 10001 milliseconds with 0 bytes received", probe.ErrTimeout},
		"received nonsense":      {56, "(56) chunk hex-length char not a hex digit: 0x78", probe.ErrOther},
		"half an answer":         {18, "(18) transfer closed with 6 bytes remaining to read", probe.ErrOther}, // who begins to answer refuses nothing
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outsideOf(t, curlThat(t, "", test.says, test.code))
			defer o.Done()
			_, err := o.Get(t.Context(), "http://198.51.100.200", "shop.example")
			if got := probe.Classify(err); got != test.want || err.Error() != "curl: "+test.says {
				t.Errorf("%s, want %s: %v", got, test.want, err)
			}
		})
	}
}

// TestOneContainerSendsThemAll at once, each with its own answer, and is gone when it is done.
func TestOneContainerSendsThemAll(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	var together sync.WaitGroup
	const side = 6
	together.Add(side)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/both") {
			together.Done()
			together.Wait()
		}
		fmt.Fprintf(w, "%s of %s", r.URL.Path, r.Host)
	}))
	t.Cleanup(server.Close)
	h := &thisHost{path: t.TempDir()}
	h.env = []string{"TMPDIR=" + h.path}
	o := outsideOf(t, h)
	defer o.Done()
	got := func(path, host string) string {
		answer, err := o.Get(t.Context(), server.URL+path, host)
		if err != nil {
			t.Error(err)
		}
		return string(answer.Body)
	}
	var all sync.WaitGroup
	for i := range side {
		all.Go(func() {
			path := fmt.Sprint("/both", i)
			if body := got(path, "shop.example"); body != path+" of shop.example" {
				t.Error(body)
			}
		})
	}
	all.Wait()
	// Without a name of its own it has the address, as the host's client has.
	if body := got("/alone", ""); body != "/alone of "+strings.TrimPrefix(server.URL, "http://") {
		t.Error(body)
	}
	if len(h.lines) != 1 {
		t.Fatalf("%d containers: %q", len(h.lines), h.lines)
	}
	for _, want := range []string{"run --rm --pull never --name usmesh-outside-", "--network meshfed-usmesh --interactive", "--label meshfed.io/owner=0123456789abcdef",
		"--label meshfed.io/topology=usmesh", "--entrypoint bash image-of-usmesh-west-control-plane -c "} {
		if !strings.Contains(h.lines[0], want) {
			t.Errorf("%q is not in %s", want, h.lines[0])
		}
	}
	o.Done()
	if got("/again", "x") != "/again of x" || len(h.lines) != 2 || h.lines[1] == h.lines[0] {
		t.Errorf("after it was done: %q", h.lines)
	}
}

// TestALateContainerSaysNothingOfTheMesh: time that is up before an answer came is no answer.
func TestALateContainerSaysNothingOfTheMesh(t *testing.T) {
	t.Parallel()
	h := curlThat(t, "", "", 0)
	if err := os.WriteFile(filepath.Join(h.path, "curl"), []byte("#!/bin/sh\nsleep 0.1\n"), 0o700); err != nil { //nolint:gosec // a program must be one
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := outsideOf(t, h)
	defer o.Done()
	if _, err := o.Get(ctx, "http://198.51.100.200", "x"); !errors.Is(err, verify.ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
