//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"istio.io/istio/manifests"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/test/registryhost"
	"github.com/meshfed/meshfed/topology"
)

// registryLogin is what the registry wants to hear; it must not be written anywhere.
const registryLogin, registryPassword = "mesh", "open-sesame-1031"

// mirrored is a topology whose images come from a registry on this host, with a worker in a
// zone of its own.
const mirrored = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: mfe2er}
spec:
  images: {mirror: %[1]s, pullSecret: mirror-login}
  istio: {charts: {repository: oci://%[2]s/istio}}
  clusters:
  - name: west
    locality: {region: us-west}
    provider: {kind: {kubernetes: 1.36.3, nodes: [{role: control-plane}, {role: worker, labels: {disk: fast}}]}}
    ingress: {}
  - name: east
    locality: {region: us-east}
    provider: {kind: {kubernetes: 1.36.3}}
    ingress: {}
  verify: {failover: {within: 30s, lostAtMost: 400}}
`

// TestRegistry is the path of users who pull: a registry on this host, filled from the
// source-built bundle under the published names, that wants a login. The engine pulls the node
// image, the nodes everything else.
func TestRegistry(t *testing.T) {
	host, e := startRegistry(t)
	mirror := host.Addr + "/mesh"
	before := inventory(t, e, "")
	m := meshOf(t, e, "mfe2er", fmt.Sprintf(mirrored, mirror, host.Addr))
	m.secrets = append(m.secrets, registryPassword, base64.StdEncoding.EncodeToString([]byte(registryLogin+":"+registryPassword)))
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })

	t.Run("push, and push again", func(t *testing.T) { m.t = t; m.pushes(host, mirror); m.pushesCharts(host) })
	// Nothing of the bundle is at hand from here on.
	m.engine.env = append(m.engine.env, "XDG_CACHE_HOME="+t.TempDir())
	t.Run("a registry that is not as it should be", func(t *testing.T) { m.t = t; m.refusesRegistries(host, before) })
	m.t = t
	m.must("up", "--verify", "always")
	for _, cluster := range []string{"west", "east"} {
		var istiod appsv1.Deployment
		if err := m.client(cluster).Get(contextFor(t, time.Minute), client.ObjectKey{Namespace: system, Name: "istiod"}, &istiod); err != nil {
			t.Fatal(err)
		}
		if image := istiod.Spec.Template.Spec.Containers[0].Image; !strings.HasPrefix(image, mirror+"/istio/pilot:") {
			t.Errorf("istiod of %s runs %s", cluster, image)
		}
	}
	if r := m.must("up"); !strings.Contains(r.stdout, "nothing changed") {
		t.Errorf("the second up changed something: %s", r)
	}
	if !strings.Contains(m.must("status").stdout, "upstream Envoy") {
		t.Error("status does not say what stands in for what")
	}
	t.Run("no login was written anywhere", func(t *testing.T) { m.t = t; noSecrets(t, m) })
	m.t = t
	m.must("down", "--delete-certs", "--yes")
	sameInventory(t, before, inventory(t, e, m.state))
}

// startRegistry serves a registry that this host and the nodes reach, and returns an engine
// that is logged in to it.
func startRegistry(t *testing.T) (*registryhost.Host, engine) {
	t.Helper()
	dir := t.TempDir()
	// Nodes reach this host at the gateway of their network, which does not exist yet.
	host, err := registryhost.Start(t.Context(), filepath.Join(dir, "registry"),
		registryhost.Options{Auth: registryLogin + ":" + registryPassword, Listen: "0.0.0.0:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Stop)
	_, port, err := net.SplitHostPort(host.Addr)
	if err != nil {
		t.Fatal(err)
	}
	host.Addr = "127.0.0.1:" + port
	login := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host.Addr, base64.StdEncoding.EncodeToString([]byte(registryLogin+":"+registryPassword)))
	conf := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", host.Addr)
	for name, text := range map[string]string{"config.json": login, "registries.conf": conf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := podman()
	e.env = append(e.env, "DOCKER_CONFIG="+dir, "REGISTRY_AUTH_FILE="+filepath.Join(dir, "config.json"),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(dir, "registries.conf"))
	return host, e
}

// pushes fills the registry from the bundle; the second time nothing is sent.
func (m *mesh) pushes(host *registryhost.Host, mirror string) {
	m.t.Helper()
	m.pushed(mirror)
	first, _, _ := host.Moved()
	m.pushed(mirror)
	second, _, _ := host.Moved()
	m.t.Logf("the first push sent %d MiB, the second %d bytes", first>>20, second-first)
	// Charts have no digest to ask for before they are sent; they are small.
	if first < 100<<20 || second-first > 64<<10 {
		m.t.Errorf("pushed %d bytes, then %d more", first, second-first)
	}
}

// pushesCharts puts Istio's charts into the registry, as its publishers do.
func (m *mesh) pushesCharts(host *registryhost.Host) {
	m.t.Helper()
	for name, folder := range map[string]string{"base": "base", "istiod": "istio-control/istio-discovery", "gateway": "gateway"} {
		files, err := fs.Sub(manifests.FS, "charts/"+folder)
		if err != nil {
			m.t.Fatal(err)
		}
		if err := registryhost.WriteChart(host.Charts, files, name, topology.IstioVersion); err != nil {
			m.t.Fatal(err)
		}
		if err := host.PushChart(m.t.Context(), "istio", filepath.Join(host.Charts, name+"-"+topology.IstioVersion+".tgz")); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mesh) pushed(mirror string) {
	m.t.Helper()
	if r := m.run("bundle", "push", mirror, "-q"); r.code != 0 {
		m.t.Fatal(r)
	}
}

// refusesRegistries breaks the registry in each way; `up` says so in one error before it makes
// anything.
func (m *mesh) refusesRegistries(host *registryhost.Host, before []string) {
	m.t.Helper()
	refused := func(what string, env []string, words ...string) {
		m.t.Helper()
		whole := m.engine.env
		m.engine.env = append(append([]string{}, whole...), env...)
		r := m.run("up", "--verify", "never")
		m.engine.env = whole
		if r.code != 1 {
			m.t.Errorf("%s: %s", what, r)
		}
		for _, word := range append(words, host.Addr) {
			if !strings.Contains(r.stderr, word) {
				m.t.Errorf("%s: the error does not say %q:\n%s", what, word, r.stderr)
			}
		}
		m.t.Logf("%s: %s", what, r.stderr)
	}
	nobody := m.t.TempDir()
	refused("no login", []string{"DOCKER_CONFIG=" + nobody, "REGISTRY_AUTH_FILE=" + filepath.Join(nobody, "none.json")}, "login")
	host.Fault("/istio/pilot/manifests/", registryhost.Hang)
	refused("it hangs", nil, "istio/pilot")
	host.Mend()
	host.Fault("/metallb/controller/", registryhost.Refuse)
	refused("it breaks off", nil, "metallb/controller")
	host.Mend()
	host.Fault("/istio/proxyv2/blobs/", registryhost.Lie)
	refused("it lies about a digest", nil, "istio/proxyv2", "digest")
	host.Mend()
	host.Fault("/v2/istio/gateway/", registryhost.Fail)
	refused("it does not give a chart", nil, "gateway")
	host.Mend()
	sameInventory(m.t, before, inventory(m.t, m.engine, ""))
}
