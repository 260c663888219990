// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/meshfed/meshfed/internal/kube"
)

// Forwards makes port-forwards of c work: pods maps "namespace/pod:port" to what answers
// there. It speaks SPDY only, as API servers did before 1.30, so the fall-back is exercised.
// Any other pod or port is not found; the API server's version is v1.36.3. The requests that c's
// Clientset sends are refused but counted, those for logs answered (see Log); its object store stays.
func (c *Cluster) Forwards(t testing.TB, pods map[string]http.Handler) {
	t.Helper()
	backends := map[string]string{}
	for name, handler := range pods {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		backends[name] = server.Listener.Addr().String()
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			_, _ = io.WriteString(w, `{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}`)
			return
		}
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		if text := c.said(); len(parts) == 7 && parts[6] == "log" && text != "" {
			_, _ = io.WriteString(w, text)
			return
		}
		if len(parts) != 7 || parts[4] != "pods" || parts[6] != "portforward" {
			http.NotFound(w, r)
			return
		}
		serveForward(w, r, parts[3]+"/"+parts[5], backends)
	}))
	t.Cleanup(api.Close)
	real, err := kube.ForConfig(c.Cluster, &rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.REST, c.Clientset = real.REST, real.Clientset
}

// Log makes every container have said text, once Forwards serves an API.
func (c *Cluster) Log(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = text
}

func (c *Cluster) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log
}

// serveForward is the API server's and the kubelet's side of a port-forward.
func serveForward(w http.ResponseWriter, r *http.Request, pod string, backends map[string]string) {
	if !known(pod, backends) {
		http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"pods not found"}`, http.StatusNotFound)
		return
	}
	if r.Header.Get("Sec-Websocket-Version") != "" {
		http.Error(w, "no WebSocket here", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 16)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	conn.SetIdleTimeout(time.Minute)
	errs := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				errs[id] = s
				continue
			}
			go pipe(s, errs[id], backends[pod+":"+s.Headers().Get(corev1.PortHeader)])
		}
	}
}

func known(pod string, backends map[string]string) bool {
	for name := range backends {
		if strings.HasPrefix(name, pod+":") {
			return true
		}
	}
	return false
}

// pipe joins a stream with a backend; without one it says so, as a kubelet does.
func pipe(stream, errs httpstream.Stream, backend string) {
	defer func() { _ = stream.Reset() }()
	if errs != nil {
		defer func() { _ = errs.Close() }()
	}
	conn, err := net.Dial("tcp", backend)
	if err != nil {
		if errs != nil {
			_, _ = fmt.Fprint(errs, "connection refused")
		}
		return
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, stream)
		// The other side hears that nobody asks any more.
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, _ = io.Copy(stream, conn)
	_ = stream.Close()
}
