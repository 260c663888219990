// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
)

const plantedToken = "planted-token-0123456789abcdef"

// kubeconfig writes a kubeconfig with one context for a server.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"] = &clientcmdapi.Cluster{Server: server}
	cfg.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: plantedToken}
	cfg.Contexts["usmesh-west"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	cfg.CurrentContext = "usmesh-west"
	path := filepath.Join(t.TempDir(), "west.kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := kubeconfig(t, "http://127.0.0.1:1")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("clusters: 7\ntoken: "+plantedToken), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		path, context string
		says          []string
		hint          string
		missing       bool
	}{
		"missing file":    {path: "/does/not/exist", says: []string{"west:", "/does/not/exist"}, missing: true},
		"broken file":     {path: broken, says: []string{"west:", broken}},
		"no such context": {path: good, context: "other", says: []string{`no context "other"`, good}, hint: "contexts in the file: usmesh-west"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kube.Load("west", tc.path, tc.context)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if got := errors.Is(err, fs.ErrNotExist); got != tc.missing {
				t.Errorf("is fs.ErrNotExist: %v, want %v", got, tc.missing)
			}
			if hints := strings.Join(diag.Hints(err), " "); !strings.Contains(hints, tc.hint) {
				t.Errorf("hints %q lack %q", hints, tc.hint)
			}
			if strings.Contains(err.Error(), plantedToken) {
				t.Errorf("error shows the token: %v", err)
			}
		})
	}
}

func TestClientCountsAndIntroducesItself(t *testing.T) {
	t.Parallel()
	var agents []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	}))
	defer server.Close()
	c, err := kube.Load("west", kubeconfig(t, server.URL), "usmesh-west")
	if err != nil {
		t.Fatal(err)
	}
	if n := kube.Requests(c); n != 0 {
		t.Fatalf("loading sent %d requests", n)
	}
	for range 3 {
		version, err := c.Version(context.Background())
		if err != nil || version != "v1.36.3" {
			t.Fatalf("version %q, %v", version, err)
		}
	}
	if n := kube.Requests(c); n != 3 {
		t.Errorf("counted %d requests, want 3", n)
	}
	if !strings.HasPrefix(agents[0], "meshfed/") {
		t.Errorf("user agent %q", agents[0])
	}
	if c.REST.Timeout != 0 {
		t.Errorf("REST has a time-out of %s, which would cut watches", c.REST.Timeout)
	}
}

func TestUnreachableServerIsNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	path := kubeconfig(t, address)
	c, err := kube.Load("west", path, "")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Reachable(context.Background())
	if err == nil {
		t.Fatal("no error")
	}
	if diag.Cluster(err) != "west" {
		t.Errorf("the error does not concern west: %v", err)
	}
	hints := strings.Join(diag.Hints(err), "\n")
	for _, part := range []string{"west", address, "kubectl --kubeconfig " + path, "is the cluster running"} {
		if !strings.Contains(hints, part) {
			t.Errorf("hint %q lacks %q", hints, part)
		}
	}
}

func TestRejectedCredentialsAreNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"Unauthorized"}`))
	}))
	defer server.Close()
	c, err := kube.Load("west", kubeconfig(t, server.URL), "")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Reachable(context.Background())
	if hints := strings.Join(diag.Hints(err), " "); !strings.Contains(hints, "auth whoami") {
		t.Errorf("hints %q", hints)
	}
	if strings.Contains(err.Error(), plantedToken) {
		t.Errorf("error shows the token: %v", err)
	}
}

func TestInterruptIsNotExplained(t *testing.T) {
	t.Parallel()
	c, err := kube.Load("west", kubeconfig(t, "http://127.0.0.1:1"), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = c.Reachable(ctx)
	if !errors.Is(err, context.Canceled) || len(diag.Hints(err)) != 0 {
		t.Errorf("error %v with hints %v", err, diag.Hints(err))
	}
}

func TestStatusAsUsesOnlyThatToken(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer other" || r.URL.RequestURI() != "/api/v1/services?limit=1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	address := server.URL
	c, err := kube.Load("west", kubeconfig(t, address), "")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"other": http.StatusOK, plantedToken: http.StatusUnauthorized} {
		if got, err := c.StatusAs(context.Background(), token, "/api/v1/services?limit=1"); err != nil || got != want {
			t.Errorf("%d, %v; want %d", got, err, want)
		}
	}
	if n := kube.Requests(c); n != 2 {
		t.Errorf("counted %d requests, want 2", n)
	}
	server.Close()
	if _, err := c.StatusAs(context.Background(), plantedToken, "/"); err == nil || strings.Contains(err.Error(), plantedToken) {
		t.Errorf("error %v", err)
	}
}
