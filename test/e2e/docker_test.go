//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshfed/meshfed/test/dockerhost"
)

// sharedTopology joins a container network that is there already, lets the program choose the
// host's ports, and has other keys than the default, a port of the user's and kind patches.
const sharedTopology = `apiVersion: meshfed.io/v1alpha1
kind: Topology
metadata: {name: mfe2ed}
spec:
  containerNetwork: kind
  certificates:
    root: {generate: {algorithm: ECDSA-P384}}
    intermediate: {algorithm: RSA-2048}
  clusters:
  - name: west
    locality: {region: us-west}
    ingress: {}
    provider:
      kind:
        ports: [{host: 31790, node: 30090}]
        patches:
        - "kind: KubeletConfiguration\nmaxPods: 61\n"
        - "[plugins.'io.containerd.cri.v1.runtime']\nmax_container_log_line_size = 8192\n"
  - {name: east, locality: {region: us-east}, ingress: {}}
`

// TestDocker is the mission on a Docker engine of the test's own, on the network that other
// kind clusters share; then the engine restarts and the nodes swap their addresses.
func TestDocker(t *testing.T) {
	d := startDocker(t)
	d.output(t, "network", "create", "kind")
	before := inventory(t, d.engine, "")
	m := meshOf(t, d.engine, "mfe2ed", sharedTopology)
	t.Cleanup(func() { m.run("down", "--delete-certs", "--yes") })

	up := m.must("up", "--verify", "always")
	for _, want := range []string{"docker", "DOCKER_HOST"} {
		if !strings.Contains(up.stderr, want) {
			t.Errorf("up does not name its engine (%q):\n%s", want, up.stderr)
		}
	}
	made := m.nodes()
	if len(made) != 2 {
		t.Fatalf("nodes: %v", made)
	}
	m.published()
	var nodes corev1.NodeList
	if err := m.client("west").List(contextFor(t, time.Minute), &nodes); err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d nodes: %v", len(nodes.Items), err)
	}
	if pods := nodes.Items[0].Status.Capacity.Pods().Value(); pods != 61 {
		t.Errorf("the kubelet's patch was not used: it takes %d pods", pods)
	}
	if said := d.output(t, "port", "mfe2ed-west-control-plane", "30090/tcp"); said != "127.0.0.1:31790" {
		t.Errorf("port 30090 is published at %q", said)
	}
	if r := m.must("up"); !strings.Contains(r.stdout, "nothing changed") {
		t.Errorf("the second up changed something: %s", r)
	}

	t.Run("nodes swap their addresses", func(t *testing.T) {
		m.t = t
		d.output(t, "stop", "--time", "5", "mfe2ed-west-control-plane", "mfe2ed-east-control-plane")
		if r := m.run("status"); r.code != 3 || !strings.Contains(r.stdout, "stopped") {
			t.Errorf("status does not say what happened: %s", r)
		}
		d.output(t, "start", "mfe2ed-east-control-plane")
		d.output(t, "start", "mfe2ed-west-control-plane")
		if now := m.nodes(); now["mfe2ed-west-control-plane"].address == made["mfe2ed-west-control-plane"].address {
			t.Logf("the engine gave the same addresses again: %v", now)
		}
		m.converges(made)
	})
	m.t = t
	t.Run("the engine restarts", func(t *testing.T) {
		m.t = t
		d.restart(t)
		m.converges(made)
	})
	m.t = t

	m.must("down", "--delete-certs", "--yes")
	sameInventory(t, before, inventory(t, d.engine, m.state))
}

// dockerEngine is a daemon that only these tests use.
type dockerEngine struct {
	engine
	dir    string
	daemon *dockerhost.Daemon
}

// startDocker starts a Docker engine with the bundle's node image still to be loaded.
func startDocker(t *testing.T) *dockerEngine {
	t.Helper()
	// Always the same folder: what a killed run has left there is found and ended.
	dir := filepath.Join(os.TempDir(), "mfe2e-docker")
	d := &dockerEngine{dir: dir, engine: engine{name: "docker"}}
	t.Cleanup(func() {
		d.stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d.start(t)
	return d
}

func (d *dockerEngine) start(t *testing.T) {
	t.Helper()
	daemon, err := dockerhost.Start(contextFor(t, 2*time.Minute), d.dir)
	if err != nil {
		t.Fatal(err)
	}
	d.daemon, d.env = daemon, []string{"DOCKER_HOST=" + daemon.Host()}
}

func (d *dockerEngine) stop(t *testing.T) {
	t.Helper()
	if d.daemon == nil {
		return
	}
	if err := d.daemon.Stop(); err != nil {
		t.Error(err)
	}
	d.daemon = nil
}

func (d *dockerEngine) restart(t *testing.T) {
	t.Helper()
	d.stop(t)
	d.start(t)
}

// node is a container of a cluster as the engine has it.
type node struct{ id, address string }

// nodes are the containers of the topology's clusters by name.
func (m *mesh) nodes() map[string]node {
	m.t.Helper()
	found := map[string]node{}
	for name := range strings.FieldsSeq(m.engine.output(m.t, "ps", "-a", "--filter", "name=^"+m.name+"-", "--format", "{{.Names}}")) {
		var list []struct {
			ID              string `json:"Id"`
			NetworkSettings struct {
				Networks map[string]struct{ IPAddress string }
			}
		}
		if err := json.Unmarshal([]byte(m.engine.output(m.t, "inspect", name)), &list); err != nil || len(list) != 1 {
			m.t.Fatalf("inspecting %s: %v", name, err)
		}
		for _, n := range list[0].NetworkSettings.Networks {
			found[name] = node{id: list[0].ID, address: n.IPAddress}
		}
	}
	return found
}

// converges runs `up`, which must mend and prove the mesh in the containers that were there.
func (m *mesh) converges(made map[string]node) {
	m.t.Helper()
	if r := m.run("up", "--verify", "always"); r.code != 0 {
		m.t.Fatalf("up did not converge: %s", r)
	}
	ids := func(nodes map[string]node) map[string]string {
		list := map[string]string{}
		for name, n := range nodes {
			list[name] = n.id
		}
		return list
	}
	if diff := cmp.Diff(ids(made), ids(m.nodes())); diff != "" {
		m.t.Errorf("containers were made again:\n%s", diff)
	}
}

// published checks that every cluster's ingress gateway has a loopback port of its own, and
// returns them.
func (m *mesh) published() []string {
	m.t.Helper()
	var status struct {
		Clusters []struct{ Published []string }
	}
	r := m.must("status", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &status); err != nil {
		m.t.Fatalf("%v: %s", err, r)
	}
	var ports []string
	for _, c := range status.Clusters {
		ports = append(ports, c.Published...)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != len(status.Clusters) {
		m.t.Errorf("the ingress gateways are published at %v: %s", ports, r.stdout)
	}
	return ports
}
