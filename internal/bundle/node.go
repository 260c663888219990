// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// keyLabel is the label of a node image that says from which inputs it was made.
const keyLabel = "meshfed.io/bundle-key"

// nodeConfig is what kind expects of a node image.
func nodeConfig(key string) v1.Config {
	return v1.Config{
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
		Env:        []string{"container=docker"},
		StopSignal: "SIGRTMIN+3",
		Labels:     map[string]string{keyLabel: key},
	}
}

// nodeInputs are folders that hold what goes into a node.
type nodeInputs struct {
	kindFiles                   string // images/base/files of kind's module
	kubernetes, containerd, cni string // compiled programs
	runtimeSpec                 []byte // what ctr oci spec says
}

// nodeTree is the layer over the Debian root: kind's own files, programs and ours.
func nodeTree(in nodeInputs) (*tree, error) {
	t := newTree()
	for _, step := range []func(*tree, nodeInputs) error{addKindFiles, addPrograms, addRuntimeSpec, addOwnFiles} {
		if err := step(t, in); err != nil {
			return nil, fmt.Errorf("gathering the node's files: %w", err)
		}
	}
	return t, nil
}

func addPrograms(t *tree, in nodeInputs) error {
	for dir, files := range map[string]map[string]string{
		in.kubernetes: {"usr/bin": "kubeadm kubelet kubectl"},
		in.containerd: {"usr/local/bin": "containerd ctr containerd-shim-runc-v2"},
		in.cni:        {"opt/cni/bin": "bridge host-local loopback portmap ptp"},
	} {
		for to, names := range files {
			for _, name := range strings.Fields(names) {
				if err := t.copy(path.Join(to, name), 0o755, filepath.Join(dir, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addKindFiles adds kind's files with the modes that its own image build gives them.
func addKindFiles(t *tree, in nodeInputs) error {
	files := os.DirFS(in.kindFiles)
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if strings.HasPrefix(name, "usr/local/bin/") || strings.HasPrefix(name, "kind/bin/") {
			mode = 0o755
		}
		text, err := adjust(name, string(data))
		if err != nil {
			return err
		}
		t.put(name, mode, []byte(text))
		return nil
	})
}

// adjust changes what a restricted host can not do: raise limits beyond its own and lower the
// OOM score. Unrestricted hosts do well with it too. A file that no longer holds what is to be
// changed is an error, not a silent difference.
func adjust(name, text string) (string, error) {
	var changes [][2]string
	switch name {
	case "etc/containerd/config.toml":
		changes = [][2]string{
			{"restrict_oom_score_adj = false", "restrict_oom_score_adj = true"},
			{`sandbox_image = "registry.k8s.io/pause:3.10"`, `sandbox_image = "registry.k8s.io/pause:` + pauseVersion + `"`},
		}
	case "etc/systemd/system/containerd.service":
		changes = [][2]string{
			{"LimitNPROC=infinity\n", "LimitNPROC=30000\n"}, {"LimitNOFILE=infinity\n", "LimitNOFILE=20000\n"},
			{"LimitCORE=infinity\n", ""}, {"TasksMax=infinity\n", ""}, {"OOMScoreAdjust=-999\n", ""},
		}
	}
	for _, c := range changes {
		if strings.Count(text, c[0]) != 1 {
			return "", fmt.Errorf("kind's %s does not hold %q once", name, strings.TrimSpace(c[0]))
		}
		text = strings.Replace(text, c[0], c[1], 1)
	}
	return text, nil
}

// addRuntimeSpec adds the container defaults as kind's image build makes them: with the hook that
// hides the host's product names, and without the resource limits of the host that built it.
func addRuntimeSpec(t *tree, in nodeInputs) error {
	var spec map[string]any
	if err := json.Unmarshal(in.runtimeSpec, &spec); err != nil {
		return fmt.Errorf("reading containerd's default specification: %w", err)
	}
	hooks, _ := spec["hooks"].(map[string]any)
	if hooks == nil {
		hooks = map[string]any{}
		spec["hooks"] = hooks
	}
	created, _ := hooks["createContainer"].([]any)
	hooks["createContainer"] = append(created, map[string]string{"path": "/kind/bin/mount-product-files.sh"})
	if process, ok := spec["process"].(map[string]any); ok {
		delete(process, "rlimits")
	}
	data, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return err
	}
	t.put("etc/containerd/cri-base.json", 0o644, data)
	return nil
}

// addOwnFiles adds what makes the node ours, and turns the services on.
func addOwnFiles(t *tree, _ nodeInputs) error {
	for from, to := range map[string]string{
		"meshfed-store.sh":      "kind/bin/meshfed-store.sh",
		"containerd-store.conf": "etc/systemd/system/containerd.service.d/10-meshfed.conf",
		"journald.conf":         "etc/systemd/journald.conf.d/10-meshfed.conf",
		"default-cni.yaml":      "kind/manifests/default-cni.yaml",
		"default-storage.yaml":  "kind/manifests/default-storage.yaml",
	} {
		data, err := source("node/" + from)
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if strings.HasSuffix(to, ".sh") {
			mode = 0o755
		}
		t.put(to, mode, data)
	}
	t.put("kind/version", 0o644, []byte(KubernetesVersion))
	for _, unit := range []string{"kubelet", "containerd", "undo-mount-hacks"} {
		t.link("etc/systemd/system/multi-user.target.wants/"+unit+".service", "/etc/systemd/system/"+unit+".service")
	}
	// It would register programs with the host's kernel.
	t.link("etc/systemd/system/systemd-binfmt.service", "/dev/null")
	for _, dir := range []string{"etc/kubernetes/manifests", "etc/cni/net.d", "kind/images", "var/lib/containerd"} {
		t.folder(dir)
	}
	return nil
}

// writeTree writes a tree that is gathered when the layer is made.
func writeTree(gather func() (*tree, error)) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		t, err := gather()
		if err != nil {
			return err
		}
		return t.write(w)
	}
}
