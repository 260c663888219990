// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
	"github.com/meshfed/meshfed/topology"
)

const password = "hunter2-and-more"

// loggedIn gives this host logins, each "host password".
func loggedIn(t *testing.T, logins ...string) {
	t.Helper()
	var auths []string
	for _, l := range logins {
		host, secret, _ := strings.Cut(l, " ")
		auths = append(auths, fmt.Sprintf(`%q: {"auth": %q}`, host, base64.StdEncoding.EncodeToString([]byte("ann:"+secret))))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths": {`+strings.Join(auths, ",")+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

func withSecret(t *testing.T, mirror string) (*Mesh, pullSecrets) {
	t.Helper()
	m := newMesh(t, example)
	m.Topology.Spec.Images.Mirror, m.Topology.Spec.Images.PullSecret = mirror, "mirror-login"
	return m, m.pullSecrets("west", m.install())
}

func secretIn(t *testing.T, c *kubetest.Cluster, namespace string) string {
	t.Helper()
	var s corev1.Secret
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "mirror-login"}, &s); err != nil {
		t.Fatal(err)
	}
	return string(s.Data[corev1.DockerConfigJsonKey])
}

// TestPullSecrets are in each namespace of ours, with the login for the mirror and no other.
func TestPullSecrets(t *testing.T) {
	loggedIn(t, "mirror.example:5000 "+password, "other.example not-for-nodes")
	_, parts := withSecret(t, "mirror.example:5000/mesh")
	c := kubetest.New(t, "west")
	look := func(want graph.Action) {
		t.Helper()
		change, err := parts.Look(t.Context(), c.Client)
		if err != nil || change.Action != want || strings.Contains(change.Reason, password) {
			t.Errorf("%+v, %v; want %s", change, err, want)
		}
	}
	look(graph.Create)
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{topology.SystemNamespace, topology.MetalLBNamespace} {
		held := secretIn(t, c, namespace)
		if !strings.Contains(held, "mirror.example:5000") || !strings.Contains(held, password) || strings.Contains(held, "other.example") {
			t.Errorf("%s holds %s", namespace, held)
		}
	}
	look(graph.None)
	written := len(c.Writes())
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err != nil || len(c.Writes()) != written {
		t.Errorf("it is written again: %v, %v", err, c.Writes()[written:])
	}
	loggedIn(t, "mirror.example:5000 a-new-one")
	look(graph.Update)
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err != nil || !strings.Contains(secretIn(t, c, topology.MetalLBNamespace), "a-new-one") {
		t.Errorf("%v", err)
	}
	// One of two that is gone comes back alone.
	if err := c.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: topology.MetalLBNamespace, Name: "mirror-login"}}); err != nil {
		t.Fatal(err)
	}
	look(graph.Create)
	written = len(c.Writes())
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Writes()[written:] {
		if strings.Contains(w, topology.SystemNamespace) {
			t.Errorf("the other one is written: %s", w)
		}
	}
}

func TestPullSecretsWithoutLogin(t *testing.T) {
	loggedIn(t, "other.example "+password)
	m, parts := withSecret(t, "mirror.example:5000/mesh")
	c := kubetest.New(t, "west")
	err := parts.Do(t.Context(), c.Client, graph.Change{})
	hinted(t, err, "mirror.example:5000: this host has no login for the registry", "docker login mirror.example:5000")
	if text := err.Error() + strings.Join(diag.Hints(err), ""); strings.Contains(text, password) || diag.Cluster(err) != "west" {
		t.Errorf("%s", text)
	}
	if _, err := m.login(t.Context()); err == nil {
		t.Error("there is a login")
	}
	// Without a mirror the nodes pull from Docker Hub.
	m.Topology.Spec.Images.Mirror = ""
	_, err = m.login(t.Context())
	hinted(t, err, "docker.io", "docker login docker.io")
	loggedIn(t, "https://index.docker.io/v1/ "+password)
	if data, err := m.login(t.Context()); err != nil || !strings.Contains(string(data[corev1.DockerConfigJsonKey]), password) {
		t.Errorf("%v", err)
	}
}

// TestPullSecretsOfTheUser stay, and what can not be read is not taken for absent.
func TestPullSecretsOfTheUser(t *testing.T) {
	loggedIn(t, "mirror.example:5000 "+password)
	_, parts := withSecret(t, "mirror.example:5000/mesh")
	theirs := func(namespace string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mirror-login"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("theirs")}}
	}
	c := kubetest.New(t, "west", theirs(topology.SystemNamespace), theirs(topology.MetalLBNamespace))
	if change, err := parts.Look(t.Context(), c.Client); err != nil || change.Needed() {
		t.Errorf("%+v, %v", change, err)
	}
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err != nil || len(c.Writes()) > 0 || secretIn(t, c, topology.SystemNamespace) != "theirs" {
		t.Errorf("%v: %v", err, c.Writes())
	}
	c.Fail("get", "Secret", "", errors.New("connection refused"), 0)
	if _, err := parts.Look(t.Context(), c.Client); err == nil {
		t.Error("it was read")
	}
	if err := parts.Do(t.Context(), c.Client, graph.Change{}); err == nil || len(c.Writes()) > 0 {
		t.Errorf("%v: %v", err, c.Writes())
	}
}

// TestPullSecretComesBeforePods: whatever pulls from the mirror waits for it.
func TestPullSecretComesBeforePods(t *testing.T) {
	t.Parallel()
	m, _ := withSecret(t, "mirror.example")
	needs := map[string]string{}
	for _, s := range Up(m) {
		needs[s.ID] = strings.Join(s.Needs, " ")
	}
	if needs["pull-secret@west"] != "owner@west" || needs["loadbalancer@west"] != "pull-secret@west" || needs["namespace@west"] != "pull-secret@west" {
		t.Errorf("%q", needs)
	}
	m.Topology.Spec.Images.PullSecret = ""
	for _, s := range Up(m) {
		if strings.HasPrefix(s.ID, "pull-secret") {
			t.Errorf("%s without a name", s.ID)
		}
	}
}

// TestALoginHasTheCallersTime: a helper that waits for somebody to type must not use up more.
func TestALoginHasTheCallersTime(t *testing.T) {
	m, _ := withSecret(t, "mirror.example:5000/mesh")
	dir := t.TempDir()
	for file, text := range map[string]string{"config.json": `{"credsStore": "slow"}`, "docker-credential-slow": "#!/bin/sh\nsleep 3 2>/dev/null >/dev/null\nexit 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := m.login(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
