//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/meshfed/meshfed/internal/kube"
)

// access is how the user reaches a cluster: by a plugin that prints a token, through a proxy, at
// a server that writes down what is written.
type access struct {
	kubeconfig string
	// secrets are what must be found nowhere: the token, and what is in the plugin's environment.
	secrets []string

	mu      sync.Mutex
	writes  []string
	proxied int
}

// accessTo gives the user of a cluster an account of an administrator, and the kubeconfig.
func accessTo(t *testing.T, o own) *access {
	t.Helper()
	a := &access{kubeconfig: filepath.Join(t.TempDir(), "user.kubeconfig")}
	c := o.client(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "platform-engineer"}}
	if err := c.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "platform-engineer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	}); err != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	const inEnvironment = "env-of-the-plugin-7c1d"
	a.secrets = []string{request.Status.Token, inEnvironment}
	plugin := filepath.Join(t.TempDir(), "fake-cloud-login")
	script := fmt.Sprintf("#!/bin/sh\nprintf '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {\"token\": \"%%s\"}}' '%s'\n", request.Status.Token)
	if err := os.WriteFile(plugin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	server := a.recorder(t, c.REST)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: another
clusters:
- name: prod
  cluster: {server: %q, certificate-authority-data: %s, proxy-url: %q}
users:
- name: engineer
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: %s
      interactiveMode: Never
      env: [{name: CLOUD_SECRET, value: %s}]
contexts:
- {name: prod, context: {cluster: prod, user: engineer}}
- {name: another, context: {cluster: nowhere, user: nobody}}
`, server.URL, base64.StdEncoding.EncodeToString(ca), a.proxy(t).URL, plugin, inEnvironment)
	if err := os.WriteFile(a.kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// recorder is a server in front of the API server. It passes on who asks, and notes every request
// that is no read.
func (a *access) recorder(t *testing.T, real *rest.Config) *httptest.Server {
	t.Helper()
	target, err := url.Parse(real.Host)
	if err != nil {
		t.Fatal(err)
	}
	anonymous := rest.AnonymousClientConfig(real)
	transport, err := rest.TransportFor(anonymous)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			a.mu.Lock()
			a.writes = append(a.writes, r.Method+" "+r.URL.Path)
			a.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	return server
}

// proxy is an HTTP proxy that opens tunnels and counts them.
func (a *access) proxy(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only tunnels", http.StatusMethodNotAllowed)
			return
		}
		a.mu.Lock()
		a.proxied++
		a.mu.Unlock()
		there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
	}))
	t.Cleanup(server.CloseClientConnections)
	return server
}

// written returns what was written since the last call, sorted and each once.
func (a *access) written() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.writes
	a.writes = nil
	slices.Sort(list)
	return slices.Compact(list)
}

// allowed are what the program may write in a cluster of the user's own.
var allowed = []string{
	"/namespaces/istio-system", "/namespaces/meshfed-verify", "/configmaps/istio-ca-root-cert", "/configmaps/istio-ca-crl", "/namespaces/kube-system/configmaps/meshfed-owner",
	".istio.io", "istio-reader", "istiod", "istio-sidecar-injector", "istio-validator", "istio-revision-tag",
	// Questions, which create nothing.
	"/selfsubjectaccessreviews", "/selfsubjectrulesreviews",
}

// stranger is a write that is none of those, or "".
func stranger(writes []string) string {
	for _, w := range writes {
		if w == "POST /api/v1/namespaces" {
			continue // the probes' namespace, whose name is in the body
		}
		if !slices.ContainsFunc(allowed, func(part string) bool { return strings.Contains(w, part) }) {
			return w
		}
	}
	return ""
}

// nowhereIn fails when one of the secrets is in a Secret of a cluster or in a file.
func (a *access) nowhereIn(t *testing.T, folder string, clients ...*kube.Client) {
	t.Helper()
	for _, c := range clients {
		var secrets corev1.SecretList
		if err := c.List(t.Context(), &secrets); err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets.Items {
			for key, value := range s.Data {
				for _, secret := range a.secrets {
					if strings.Contains(string(value), secret) {
						t.Errorf("Secret %s/%s of %s holds in %s what belongs to the user", s.Namespace, s.Name, c.Cluster, key)
					}
				}
			}
		}
	}
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range a.secrets {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds what belongs to the user", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
