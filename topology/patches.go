// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v4"
)

// What a patch of a kind cluster is laid over.
const (
	// PatchKubeadm is a document of kubeadm's configuration.
	PatchKubeadm = "kubeadm"
	// PatchContainerd is containerd's configuration.
	PatchContainerd = "containerd"
)

// kubeadmKinds are the documents of kubeadm's configuration that kind writes and patches.
func kubeadmKinds() []string {
	return []string{"ClusterConfiguration", "InitConfiguration", "JoinConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"}
}

// containerdKeys are the top-level keys of containerd's configuration (Config in
// containerd's cmd/containerd/server/config).
func containerdKeys() []string {
	return []string{"version", "root", "state", "temp", "plugin_dir", "grpc", "ttrpc", "debug", "metrics", "disabled_plugins",
		"required_plugins", "plugins", "oom_score", "cgroup", "proxy_plugins", "timeouts", "imports", "stream_processors"}
}

// PatchTarget says what a patch of spec.clusters[].provider.kind.patches is laid over:
// PatchKubeadm for one YAML document with a kind of kubeadm's, PatchContainerd for TOML with
// keys of containerd's. Anything else is an error.
func PatchTarget(patch string) (string, error) {
	if strings.TrimSpace(patch) == "" {
		return "", errors.New("it is empty")
	}
	kind, keys, isYAML := yamlKind(patch)
	if isYAML {
		return kubeadmPatch(kind, keys)
	}
	var content map[string]any
	if _, err := toml.Decode(patch, &content); err != nil {
		return "", errors.New("it is neither YAML with a kind nor TOML")
	}
	if len(content) == 0 {
		return "", errors.New("it changes nothing")
	}
	for key := range content {
		if !slices.Contains(containerdKeys(), key) {
			return "", fmt.Errorf("containerd has no key %q", shorten(key))
		}
	}
	return PatchContainerd, nil
}

func kubeadmPatch(kind string, keys int) (string, error) {
	switch {
	case kind == "":
		return "", errors.New("it has no kind")
	case !slices.Contains(kubeadmKinds(), kind):
		return "", fmt.Errorf("kubeadm has no kind %q", shorten(kind))
	case keys < 2:
		return "", errors.New("it changes nothing")
	}
	return PatchKubeadm, nil
}

// yamlKind reads one YAML mapping: its kind, and how many keys it has besides apiVersion.
func yamlKind(patch string) (kind string, keys int, ok bool) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(patch)))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil || len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return "", 0, false
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return "", 0, false
	}
	content := document.Content[0].Content
	for i := 0; i+1 < len(content); i += 2 {
		switch content[i].Value {
		case "kind":
			kind = content[i+1].Value
			keys++
		case "apiVersion":
		default:
			keys++
		}
	}
	return kind, keys, true
}
