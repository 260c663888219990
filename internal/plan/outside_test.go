// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/internal/probe"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// curl is an engine that runs one container, and what curl prints in it.
type curl struct {
	cluster.Engine
	prints string
	says   string
	code   int
	err    error
	args   []string
}

func (*curl) Name() string { return "podman" }

func (c *curl) Run(ctx context.Context, args ...string) (string, error) {
	c.args = args
	err := c.err
	if c.code != 0 {
		err = exec.CommandContext(ctx, "/bin/sh", "-c", fmt.Sprint("exit ", c.code)).Run()
	}
	if err != nil {
		says := "curl: it failed\n"
		if c.says != "" {
			says = "curl: " + c.says + "\n" + endMark // which curl writes in any case
		}
		err = &run.Error{Command: "podman run", Output: says, Err: err}
	}
	// As run.Command.Output does.
	return strings.TrimRight(c.prints, "\r\n"), err
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
		"a dot at its end":    {head + "\r\nthe end.", 200, "the end."},
		"dots and newlines":   {head + "\r\n..\n", 200, "..\n"},
		"empty":               {head + "Content-Length: 0\r\n\r\n", 200, ""},
		"empty, no length":    {head + "\r\n", 200, ""},
		"no content":          {strings.Replace(head, "200 OK", "204 No Content", 1) + "\r\n", 204, ""},
		"another status":      {strings.Replace(head, "200 OK", "503 Service Unavailable", 1) + "Content-Length: 4\r\n\r\nbusy", 503, "busy"},
		"far too long":        {head + "\r\n" + strings.Repeat("x", 2*outsideBody), 200, strings.Repeat("x", outsideBody)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Engine = &curl{prints: test.prints + endMark}
			answer, err := m.getFromContainer(t.Context(), "node:1", "http://198.51.100.200", "shop.example")
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
		engine  *curl
		notSent bool
	}{
		"refused":         {&curl{code: 7}, false},
		"no answer":       {&curl{code: 28}, false},
		"half an answer":  {&curl{code: 18, prints: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"}, false},
		"no container":    {&curl{code: 125}, true},
		"no permission":   {&curl{code: 126}, true},
		"no curl":         {&curl{code: 127}, true},
		"killed":          {&curl{code: 137}, true},
		"no engine":       {&curl{err: errors.New("executable file not found")}, true},
		"interrupted":     {&curl{err: context.Canceled}, true},
		"it is no answer": {&curl{prints: "Hello"}, true},
		"nothing":         {&curl{prints: endMark}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Engine = test.engine
			answer, err := m.getFromContainer(t.Context(), "node:1", "http://198.51.100.200", "shop.example")
			if err == nil || errors.Is(err, verify.ErrNotSent) != test.notSent || answer.Status != 0 {
				t.Errorf("%+v, %v", answer, err)
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
		"nobody listens":         {7, "(7) Failed to connect to 198.51.100.200 port 80 after 0 ms: Couldn't connect to server", probe.ErrRefused},
		"no answer":              {28, "(28) Operation timed out after 10001 milliseconds with 0 bytes received", probe.ErrTimeout},
		"received nonsense":      {56, "(56) chunk hex-length char not a hex digit: 0x78", probe.ErrOther},
		"half an answer":         {18, "(18) transfer closed with 6 bytes remaining to read", probe.ErrOther}, // who begins to answer refuses nothing
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Engine = &curl{code: test.code, says: test.says}
			_, err := m.getFromContainer(t.Context(), "node:1", "http://198.51.100.200", "shop.example")
			if got := probe.Classify(err); got != test.want || err.Error() != "curl: "+test.says {
				t.Errorf("%s, want %s: %v", got, test.want, err)
			}
		})
	}
}

func TestCurlIsAskedFromOutside(t *testing.T) {
	t.Parallel()
	m, e := newMesh(t, example), &curl{prints: "HTTP/1.1 200 OK\r\n\r\n" + endMark}
	m.Engine = e
	if _, err := m.getFromContainer(t.Context(), "node:1", "http://198.51.100.200", "shop.example"); err != nil {
		t.Fatal(err)
	}
	line := strings.Join(e.args, " ")
	for _, want := range []string{"run --rm --pull never --name usmesh-outside-", "--network meshfed-usmesh", "--label meshfed.io/owner=0123456789abcdef",
		"--label meshfed.io/topology=usmesh", "--entrypoint curl node:1 ", "--max-time 10", "--header Host: shop.example http://198.51.100.200"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	first := e.args[slices.Index(e.args, "--name")+1]
	if _, err := m.getFromContainer(t.Context(), "node:1", "http://198.51.100.200", "x"); err != nil || e.args[slices.Index(e.args, "--name")+1] == first {
		t.Errorf("two at a time have one name: %v", err)
	}
}

func gateway(name, address string) *corev1.Service {
	s := balancer(name, address)
	s.Namespace = topology.SystemNamespace
	return s
}

func containersOf(list ...string) []clustertest.Answer {
	var ids, all []string
	for i, c := range list {
		name, state, _ := strings.Cut(c, " ")
		ids = append(ids, fmt.Sprint(i))
		all = append(all, fmt.Sprintf(`{"Id": "%d", "Name": %q, "ImageName": "image-of-%s", "State": {"Status": %q}}`, i, name, name, state))
	}
	return []clustertest.Answer{{To: "ps", Out: strings.Join(ids, "\n")}, {To: "container inspect", Out: "[" + strings.Join(all, ",") + "]"}}
}

// TestOutsideClients: URLs only where they are known.
func TestOutsideClients(t *testing.T) {
	t.Parallel()
	west := func() *kubetest.Cluster {
		return kubetest.New(t, "west", gateway(topology.IngressGateway, "198.51.100.200"))
	}
	all := map[int]int{topology.IngressHTTPNodePort: 31234}
	for name, test := range map[string]struct {
		ports      map[int]int
		portsErr   error
		change     func(*Mesh)
		broken     bool
		host, load map[string]string
	}{
		"all known":         {ports: all, host: map[string]string{"west": "http://127.0.0.1:31234", "east": "http://127.0.0.1:31234"}, load: map[string]string{"west": "http://198.51.100.200"}},
		"nothing published": {load: map[string]string{"west": "http://198.51.100.200"}},
		"another port published": {ports: map[int]int{topology.IngressHTTPSNodePort: 31235},
			load: map[string]string{"west": "http://198.51.100.200"}},
		"the engine does not say": {ports: all, portsErr: errors.New("cannot connect"), load: map[string]string{"west": "http://198.51.100.200"}},
		"no ports in the file": {ports: all, change: func(m *Mesh) { m.Topology.Cluster("west").Ingress.HostPorts.HTTP = 0 },
			host: map[string]string{"east": "http://127.0.0.1:31234"}, load: map[string]string{"west": "http://198.51.100.200"}},
		"no gateway in the file":  {ports: all, change: func(m *Mesh) { m.Topology.Cluster("west").Ingress = nil }, host: map[string]string{"east": "http://127.0.0.1:31234"}},
		"the API does not answer": {ports: all, broken: true, host: map[string]string{"west": "http://127.0.0.1:31234", "east": "http://127.0.0.1:31234"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, w := newMesh(t, example), west()
			m.Provider = &hosted{names: []string{"usmesh-west", "usmesh-east"}, ports: test.ports, portsErr: test.portsErr}
			m.Engine = &clustertest.Engine{Answers: containersOf("usmesh-west-control-plane running")}
			if test.change != nil {
				test.change(m)
			}
			if test.broken {
				w.Fail("get", "Service", "", errors.New("connection refused"), 0)
			}
			clients := map[string]*kube.Client{"west": w.Client, "east": kubetest.New(t, "east", gateway(topology.IngressGateway, "")).Client}
			got := m.outside(t.Context(), clients)
			if len(got) != 2 || got[0].Name != verify.OutsideHost || got[1].Name != verify.OutsideContainer || got[1].Unusable != "" {
				t.Fatalf("%+v", got)
			}
			if test.host == nil {
				test.host = map[string]string{}
			}
			if test.load == nil {
				test.load = map[string]string{}
			}
			if diff := cmp.Diff([]map[string]string{test.host, test.load}, []map[string]string{got[0].URL, got[1].URL}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOutsideClientIsANodesImage of our own: a stranger on a shared network may have no curl.
func TestOutsideClientIsANodesImage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		containers []string
		fails      string
		listErr    error
		want       string
	}{
		"the first that runs":      {containers: []string{"usmesh-east-control-plane exited", "usmesh-west-control-plane running"}, want: "image-of-usmesh-west-control-plane"},
		"none runs":                {containers: []string{"usmesh-east-control-plane exited"}},
		"of another topology":      {containers: []string{"usmesh-two-west-control-plane running", "usmesh-redis running", "west-control-plane running"}},
		"the engine fails":         {fails: "Error: cannot connect"},
		"clusters are not listed":  {containers: []string{"usmesh-west-control-plane running"}, listErr: errors.New("foreign")},
		"ours beside a stranger's": {containers: []string{"usmesh-a running", "usmesh-west-control-plane running"}, want: "image-of-usmesh-west-control-plane"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(t, example)
			m.Provider = &hosted{names: []string{"usmesh-east", "usmesh-west"}, listErr: test.listErr}
			e := &clustertest.Engine{Answers: containersOf(test.containers...)}
			if test.fails != "" {
				e.Answers = []clustertest.Answer{{To: "ps", Fails: test.fails}}
			}
			m.Engine = e
			if got := m.someNodeImage(t.Context()); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if outside := m.outside(t.Context(), nil); (outside[1].Unusable == "") != (test.want != "") {
				t.Errorf("unusable: %q", outside[1].Unusable)
			}
		})
	}
}
