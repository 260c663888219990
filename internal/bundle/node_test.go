// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const kindContainerd = `  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = false
`

const kindUnit = "[Service]\nLimitNPROC=infinity\nLimitCORE=infinity\nLimitNOFILE=infinity\nTasksMax=infinity\nOOMScoreAdjust=-999\n"

// testNodeInputs lays out what the build would have made.
func testNodeInputs(t *testing.T) nodeInputs {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{
		"kind/etc/containerd/config.toml":            []byte(kindContainerd),
		"kind/etc/systemd/system/containerd.service": []byte(kindUnit),
		"kind/usr/local/bin/entrypoint":              []byte("#!/bin/bash\n"),
		"kind/kind/bin/mount-product-files.sh":       []byte("#!/bin/bash\n"),
		"kind/etc/sysctl.d/10-network-magic.conf":    []byte("x=1\n"),
		"containerd/containerd":                      nil,
		"containerd/ctr":                             nil,
		"containerd/containerd-shim-runc-v2":         nil,
		"kubernetes/kubeadm":                         nil,
		"kubernetes/kubelet":                         []byte("kubelet"),
		"kubernetes/kubectl":                         nil,
		"cni/bridge":                                 nil,
		"cni/host-local":                             nil,
		"cni/loopback":                               nil,
		"cni/portmap":                                nil,
		"cni/ptp":                                    nil,
	}
	if err := writeFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	return nodeInputs{
		kindFiles: filepath.Join(dir, "kind"), kubernetes: filepath.Join(dir, "kubernetes"),
		containerd: filepath.Join(dir, "containerd"), cni: filepath.Join(dir, "cni"),
		runtimeSpec: []byte(`{"ociVersion": "1.2", "process": {"rlimits": [{"type": "RLIMIT_NOFILE"}], "cwd": "/"}}`),
	}
}

func textOf(t *testing.T, tr *tree, name string) string {
	t.Helper()
	e, ok := tr.entries[name]
	if !ok || e.open == nil {
		t.Fatalf("the node has no file %s", name)
	}
	r, err := e.open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestNodeFiles(t *testing.T) {
	t.Parallel()
	n, err := nodeTree(testNodeInputs(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]int64{
		"usr/bin/kubelet": 0o755, "usr/local/bin/entrypoint": 0o755, "kind/bin/mount-product-files.sh": 0o755, "opt/cni/bin/bridge": 0o755,
		"etc/sysctl.d/10-network-magic.conf": 0o644, "kind/bin/meshfed-store.sh": 0o755,
	} {
		if got := n.entries[name].mode; got != mode {
			t.Errorf("%s has mode %o, want %o", name, got, mode)
		}
	}
	config := textOf(t, n, "etc/containerd/config.toml")
	if !strings.Contains(config, "pause:"+pauseVersion+`"`) || !strings.Contains(config, "restrict_oom_score_adj = true") {
		t.Errorf("containerd's configuration is\n%s", config)
	}
	if unit := textOf(t, n, "etc/systemd/system/containerd.service"); strings.Contains(unit, "infinity") || strings.Contains(unit, "OOM") {
		t.Errorf("containerd's unit asks for what a restricted host can not give:\n%s", unit)
	}
	if got := textOf(t, n, "kind/version"); got != KubernetesVersion {
		t.Errorf("kind reads version %q", got)
	}
	for _, unit := range []string{"kubelet", "containerd"} {
		if n.entries["etc/systemd/system/multi-user.target.wants/"+unit+".service"].target == "" {
			t.Errorf("%s does not start", unit)
		}
	}
}

func TestRuntimeSpec(t *testing.T) {
	t.Parallel()
	n, err := nodeTree(testNodeInputs(t))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Process map[string]any
		Hooks   struct{ CreateContainer []struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(textOf(t, n, "etc/containerd/cri-base.json")), &spec); err != nil {
		t.Fatal(err)
	}
	if _, ok := spec.Process["rlimits"]; ok || spec.Process["cwd"] != "/" {
		t.Errorf("process is %v", spec.Process)
	}
	if h := spec.Hooks.CreateContainer; len(h) != 1 || h[0].Path != "/kind/bin/mount-product-files.sh" {
		t.Errorf("hooks are %v", h)
	}
}

func TestNodeRefusesUnknownKindFiles(t *testing.T) {
	t.Parallel()
	in := testNodeInputs(t)
	if err := os.WriteFile(filepath.Join(in.kindFiles, "etc/containerd/config.toml"), []byte("version = 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := nodeTree(in); err == nil || !strings.Contains(err.Error(), "restrict_oom_score_adj") {
		t.Errorf("got %v, want it to name what is missing", err)
	}
}

// TestStoreScript runs what a node runs before containerd starts.
func TestStoreScript(t *testing.T) {
	t.Parallel()
	store, root := t.TempDir(), t.TempDir()
	const snapshots, metadata = "io.containerd.snapshotter.v1.overlayfs", "io.containerd.metadata.v1.bolt"
	if err := writeFiles(store, map[string][]byte{
		metadata + "/meta.db": []byte("meta"), snapshots + "/metadata.db": []byte("snap"), snapshots + "/snapshots/1/fs/x": nil,
		"io.containerd.content.v1.content/blobs/sha256/abc": []byte("manifest"),
	}); err != nil {
		t.Fatal(err)
	}
	script, err := source("node/meshfed-store.sh")
	if err != nil {
		t.Fatal(err)
	}
	start := func() {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-s", store, root)
		cmd.Stdin = bytes.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// A node that was killed while it copied begins again.
	if err := writeFiles(root, map[string][]byte{metadata + "/meta.db.new": []byte("half")}); err != nil {
		t.Fatal(err)
	}
	start()
	for name, want := range map[string]string{
		metadata + "/meta.db": "meta", snapshots + "/metadata.db": "snap", "io.containerd.content.v1.content/blobs/sha256/abc": "manifest",
	} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(root, snapshots, "snapshots/1")); err != nil || to != filepath.Join(store, snapshots, "snapshots/1") {
		t.Errorf("the snapshot is a link to %q, %v", to, err)
	}
	// A node that starts again keeps what its containerd has written since.
	if err := os.WriteFile(filepath.Join(root, metadata, "meta.db"), []byte("later"), 0o600); err != nil {
		t.Fatal(err)
	}
	start()
	if got, _ := os.ReadFile(filepath.Join(root, metadata, "meta.db")); string(got) != "later" {
		t.Errorf("a second start replaced the database by %q", got)
	}
}

func TestScriptsAreShell(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"meshfed-store.sh"} {
		script, err := source("node/" + name)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-n")
		cmd.Stdin = bytes.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
