// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

// forwarding is a cluster whose pod n/p answers on port 15014.
func forwarding(t *testing.T) *kubetest.Cluster {
	t.Helper()
	c := kubetest.New(t, "west")
	c.Forwards(t, map[string]http.Handler{"n/p:15014": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			_, _ = w.Write([]byte(r.Method + " " + string(body)))
		case "/secret":
			http.Error(w, "bad credentials: Bearer "+plantedToken+"\nsecond line", http.StatusForbidden)
		case "/slow":
			<-r.Context().Done()
		}
	})})
	return c
}

func TestPodHTTP(t *testing.T) {
	t.Parallel()
	c := forwarding(t)
	for range 3 {
		got, err := c.PodHTTP(context.Background(), "n", "p", 15014, http.MethodPost, "/echo", []byte("{}"))
		if err != nil || string(got) != "POST {}" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if kube.Requests(c.Client) != 0 {
		// The counter belongs to the client that Forwards made; c.Client has its own.
		t.Errorf("counted %d", kube.Requests(c.Client))
	}
}

func TestPodHTTPErrors(t *testing.T) {
	t.Parallel()
	c := forwarding(t)
	_, err := c.PodHTTP(context.Background(), "n", "p", 15014, http.MethodGet, "/secret", nil)
	var status *kube.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusForbidden {
		t.Fatalf("error %v", err)
	}
	if strings.Contains(err.Error(), plantedToken) || strings.Contains(err.Error(), "second line") {
		t.Errorf("error %q shows too much", err)
	}
	if diag.Cluster(err) != "west" || !strings.Contains(err.Error(), "asking pod n/p") {
		t.Errorf("error %q does not say where", err)
	}

	_, err = c.PodHTTP(context.Background(), "n", "p", 1, http.MethodGet, "/echo", nil)
	if err == nil || !strings.Contains(err.Error(), "asking pod n/p") {
		t.Errorf("port without a listener: %v", err)
	}
	_, err = c.PodHTTP(context.Background(), "n", "absent", 15014, http.MethodGet, "/echo", nil)
	if err == nil || !strings.Contains(err.Error(), "forwarding to port 15014 of pod n/absent") {
		t.Errorf("absent pod: %v", err)
	}
}

func TestPodHTTPEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := forwarding(t)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.PodHTTP(ctx, "n", "p", 15014, http.MethodGet, "/slow", nil)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("error %v after %s", err, time.Since(start))
	}
}

func TestForwardEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(cancel func(), f *kube.Forward){
		"by close":         func(_ func(), f *kube.Forward) { f.Close(); f.Close() },
		"with its context": func(cancel func(), _ *kube.Forward) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := forwarding(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			f, err := c.Forward(ctx, "n", "p", 15014)
			if err != nil {
				t.Fatal(err)
			}
			if host, _, _ := net.SplitHostPort(f.Addr); host != "127.0.0.1" {
				t.Errorf("listens on %s", f.Addr)
			}
			end(cancel, f)
			select {
			case <-f.Done():
			case <-time.After(5 * time.Second):
				t.Fatal("still open")
			}
			if conn, err := net.Dial("tcp", f.Addr); err == nil {
				_ = conn.Close()
				t.Errorf("%s still listens", f.Addr)
			}
			if f.Err() != nil {
				t.Errorf("ended with %v", f.Err())
			}
		})
	}
}
