// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registryhost

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Options of a registry.
type Options struct {
	// Auth is "user:password"; empty for none.
	Auth string
	// Listen is the address; empty means a free port of 127.0.0.1.
	Listen string
	// TLS serves HTTPS with these certificates.
	TLS *tls.Config
}

// Host is a registry that is being served.
type Host struct {
	// Addr is where it listens: host:port.
	Addr string
	// Charts is the folder that is served as an HTTP chart repository below /charts/; index.yaml
	// belongs into it.
	Charts string

	auth     string
	server   *http.Server
	ended    chan struct{}
	faults   faults
	received atomic.Int64
	sent     atomic.Int64
	uploads  atomic.Int64
}

// Start serves a registry whose content lies below dir, until Stop is called or ctx ends.
func Start(ctx context.Context, dir string, o Options) (*Host, error) {
	h := &Host{Charts: filepath.Join(dir, "charts"), auth: o.Auth, ended: make(chan struct{})}
	blobs := filepath.Join(dir, "blobs")
	for _, d := range []string{blobs, h.Charts} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("starting a registry: %w", err)
		}
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("starting a registry: %w", err)
	}
	h.Addr = listener.Addr().String()
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	quiet := log.New(io.Discard, "", 0)
	images := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)), registry.Logger(quiet))
	mux := http.NewServeMux()
	mux.Handle("/v2/", images)
	mux.Handle("/charts/", http.StripPrefix("/charts/", http.FileServer(http.Dir(h.Charts))))
	h.server = &http.Server{
		Handler: h.counting(h.loggedIn(h.faulty(mux))), ReadHeaderTimeout: time.Minute, ErrorLog: quiet,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(h.ended)
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Print("registry: ", err)
		}
	}()
	context.AfterFunc(ctx, h.Stop)
	return h, nil
}

// Stop ends all requests and frees the port. What lies on disk stays.
func (h *Host) Stop() {
	h.faults.clear()
	_ = h.server.Close()
	<-h.ended
}

// Moved is how many bytes of bodies were received and sent, and how many uploads were begun.
func (h *Host) Moved() (received, sent, uploads int64) {
	return h.received.Load(), h.sent.Load(), h.uploads.Load()
}

func (h *Host) loggedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if h.auth != "" && subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(h.auth)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *Host) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			h.uploads.Add(1)
		}
		r.Body = counted{r.Body, &h.received}
		next.ServeHTTP(counter{w, &h.sent}, r)
	})
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}
