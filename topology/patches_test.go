// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"
)

func TestPatchTarget(t *testing.T) {
	t.Parallel()
	for patch, want := range map[string]string{
		"kind: ClusterConfiguration\napiServer: {}\n":                                       PatchKubeadm,
		"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 9": PatchKubeadm,
		"---\nkind: InitConfiguration\nskipPhases: [a]\n":                                   PatchKubeadm,
		"{kind: JoinConfiguration, a: b}":                                                   PatchKubeadm,
		"kind: KubeProxyConfiguration\nmode: nftables":                                      PatchKubeadm,
		"version = 2\n":                       PatchContainerd,
		"# a\n[plugins.\"a.b\"]\n  x = 1\n":   PatchContainerd,
		"[debug]\nlevel = \"debug\"\n":        PatchContainerd,
		"[[stream_processors]]\nid = \"a\"\n": PatchContainerd,
	} {
		if got, err := PatchTarget(patch); got != want || err != nil {
			t.Errorf("%q is for %q, %v, want %q", patch, got, err, want)
		}
	}
	for patch, want := range map[string]string{
		"":                                       "it is empty",
		" \n":                                    "it is empty",
		"# a\n":                                  "it changes nothing",
		"a: b":                                   "it has no kind",
		"kind: {a: b}":                           "it has no kind",
		"kind: Pod\na: b":                        `kubeadm has no kind "Pod"`,
		"kind: InitConfiguration":                "it changes nothing",
		"apiVersion: a\nkind: InitConfiguration": "it changes nothing",
		"- op: add\n  path: /a\n":                "neither YAML with a kind nor TOML",
		"a: b\n---\nc: d\n":                      "neither YAML with a kind nor TOML",
		"words":                                  "neither YAML with a kind nor TOML",
		"plugin = 1":                             `containerd has no key "plugin"`,
		"kind = \"ClusterConfiguration\"":        `containerd has no key "kind"`,
		"version = 2\nversion = 3":               "neither YAML with a kind nor TOML",
		"kind: ClusterConfiguration\n\ta: b":     "neither YAML with a kind nor TOML",
		"kind: ClusterConfiguration\nkind: Pod\na: b": `kubeadm has no kind "Pod"`,
	} {
		if got, err := PatchTarget(patch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is for %q, %v, want %q", patch, got, err, want)
		}
	}
}
