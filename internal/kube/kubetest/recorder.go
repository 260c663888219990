// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kubetest

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Request is one request that an API server was sent.
type Request struct {
	// Method, Path and Query are as in the request line.
	Method, Path, Query string
}

// String is the request line.
func (r Request) String() string {
	if r.Query == "" {
		return r.Method + " " + r.Path
	}
	return r.Method + " " + r.Path + "?" + r.Query
}

// Reads says whether a request only looks: GET (lists and watches too), access reviews and
// port-forwards. exec, attach and proxy are no reads, whatever their method, nor is a PATCH that
// says dryRun or a request for a token.
func (r Request) Reads() bool {
	last := r.Path[strings.LastIndex(r.Path, "/")+1:]
	switch {
	case last == "portforward" && strings.HasPrefix(r.Path, "/api/v1/namespaces/") && strings.Contains(r.Path, "/pods/"):
		return r.Method == http.MethodPost || r.Method == http.MethodGet
	case last == "exec" || last == "attach" || strings.HasSuffix(r.Path, "/proxy") || strings.Contains(r.Path, "/proxy/"):
		return false
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return true
	}
	return r.Method == http.MethodPost && strings.HasPrefix(r.Path, "/apis/authorization.k8s.io/") && strings.HasSuffix(r.Path, "reviews")
}

// Recorder is an API server that passes every request on to another one and keeps what it was.
// It is safe for concurrent use.
type Recorder struct {
	// Server is its URL, CA the certificate that it serves, as PEM.
	Server string
	CA     []byte

	mu       sync.Mutex
	requests []Request
}

// Record starts a Recorder before the API server of cfg, whose credentials it uses for requests
// that have no token of their own. It ends with the test.
func Record(t testing.TB, cfg *rest.Config) *Recorder {
	t.Helper()
	admin, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	anonymous, err := rest.TransportFor(rest.AnonymousClientConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	host := cfg.Host
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	target, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport:     whoever{admin, anonymous},
		FlushInterval: -1,
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.requests = append(r.requests, Request{q.Method, q.URL.Path, q.URL.RawQuery})
		r.mu.Unlock()
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	var ca bytes.Buffer
	if err := pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	r.Server, r.CA = server.URL, ca.Bytes()
	return r
}

// whoever sends requests as the administrator, but for those that say who they are.
type whoever struct{ admin, anonymous http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w whoever) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return w.anonymous.RoundTrip(r)
	}
	return w.admin.RoundTrip(r)
}

// Before makes a kubeconfig lead to the Recorder in place of its own API servers.
func (r *Recorder) Before(config *clientcmdapi.Config) {
	for _, c := range config.Clusters {
		c.Server, c.CertificateAuthorityData, c.CertificateAuthority, c.TLSServerName = r.Server, r.CA, "", ""
	}
}

// Requests lists all requests so far.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Others lists the requests so far that do more than look.
func (r *Recorder) Others() []Request {
	return slices.DeleteFunc(r.Requests(), Request.Reads)
}

// Forget forgets all requests.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}
