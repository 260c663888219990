//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bystander is a kind cluster that is none of ours: made by kind's own command, on a network
// of its own, on the same host and with the same engine. It must outlive our `down`.
type bystander struct {
	name, kind, kubeconfig string
	env                    []string
}

// bystanderConfig has what a restricted host needs, whether or not this one is restricted.
const bystanderConfig = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {disableDefaultCNI: true}
featureGates: {KubeletInUserNamespace: true}
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
  oomScoreAdj: 0
- |
  kind: KubeProxyConfiguration
  oomScoreAdj: 0
  conntrack: {maxPerCore: 0}
`

// startBystander makes the cluster from the node image that the first, interrupted `up` has
// loaded.
func startBystander(t *testing.T, m *mesh) bystander {
	t.Helper()
	dir, err := os.MkdirTemp("", "mfe2e-bystander-")
	if err != nil {
		t.Fatal(err)
	}
	b := bystander{name: "mfe2e-bystander", kind: filepath.Join(dir, "kind"), kubeconfig: filepath.Join(dir, "kubeconfig")}
	b.env = append(os.Environ(), "KIND_EXPERIMENTAL_PROVIDER=podman", "KIND_EXPERIMENTAL_PODMAN_NETWORK=mfe2e-bystander-net")
	// What the host needs is written by the program; the neighbour keeps a copy, for ours goes.
	if conf, err := os.ReadFile(filepath.Join(m.state, m.name, "containers.conf")); err == nil {
		own := filepath.Join(dir, "containers.conf")
		if err := os.WriteFile(own, conf, 0o600); err != nil {
			t.Fatal(err)
		}
		b.env = append(b.env, "CONTAINERS_CONF="+own)
	}
	if out, err := exec.Command("go", "build", "-o", b.kind, "sigs.k8s.io/kind").CombinedOutput(); err != nil {
		t.Fatalf("building kind: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "kind.yaml")
	if err := os.WriteFile(config, []byte(bystanderConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := exec.Command("podman", "images", "--filter", "reference=localhost/meshfed/node", "--format", "{{.Repository}}:{{.Tag}}").Output()
	if err != nil || len(strings.Fields(string(image))) == 0 {
		t.Fatalf("no node image: %v", err)
	}
	_ = b.run("delete", "cluster", "--name", b.name)
	if err := b.run("create", "cluster", "--name", b.name, "--config", config, "--kubeconfig", b.kubeconfig,
		"--image", strings.Fields(string(image))[0]); err != nil {
		t.Fatal(err)
	}
	b.mustLive(t)
	return b
}

func (b bystander) run(args ...string) error {
	cmd := exec.Command(b.kind, args...)
	cmd.Env = b.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &exec.Error{Name: "kind " + strings.Join(args, " ") + "\n" + string(out), Err: err}
	}
	return nil
}

// mustLive asks the neighbour's API server.
func (b bystander) mustLive(t *testing.T) {
	t.Helper()
	out, err := exec.Command("podman", "exec", b.name+"-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "get", "--raw", "/readyz").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("the neighbour's cluster does not answer any more: %s %v", out, err)
	}
}

func (b bystander) remove(t *testing.T) {
	t.Helper()
	if b.kind == "" {
		return // it was never made, or is removed already
	}
	if err := b.run("delete", "cluster", "--name", b.name); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("podman", "network", "rm", "mfe2e-bystander-net").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	_ = os.RemoveAll(filepath.Dir(b.kind))
}
