// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	reference "github.com/google/go-containerregistry/pkg/name"
)

// maxWorkers bounds the workers of one kind cluster: more of them share no host.
const maxWorkers = 20

// KubernetesVersions lists the minor versions of Kubernetes that the built-in Istio supports,
// oldest first.
func KubernetesVersions() []string { return KubernetesFor(IstioVersion) }

// KubernetesImage is provider.kind.kubernetes when that names a node image and not a version.
func (k *KindProvider) KubernetesImage() (image string, ok bool) {
	return k.Kubernetes, strings.Contains(k.Kubernetes, "/")
}

// kind checks what is particular to kind clusters; subnets and ports are for networks.
func (c *collector) kind(path string, kind *KindProvider, istio string) {
	c.kubernetes(path+".kubernetes", kind, istio)
	c.nodes(path+".nodes", kind.Nodes)
	for i, patch := range kind.Patches {
		if _, err := PatchTarget(patch); err != nil {
			c.add(fmt.Sprintf("%s.patches[%d]", path, i), "this is no patch: "+err.Error(),
				"write YAML with kind: "+orList(kubeadmKinds())+", or TOML of containerd's configuration")
		}
	}
}

func (c *collector) kubernetes(path string, kind *KindProvider, istio string) {
	if image, ok := kind.KubernetesImage(); ok {
		ref, err := reference.ParseReference(image)
		if err != nil || strings.Contains(image, "://") || strings.ContainsAny(image, " \t\r\n") {
			c.add(path, fmt.Sprintf("%q is no image name", shorten(image)), "write a name such as docker.io/kindest/node:v1.36.3")
		} else if id := ref.Identifier(); !strings.HasSuffix(image, ":"+id) && !strings.HasSuffix(image, "@"+id) {
			c.add(path, fmt.Sprintf("the image %q has neither tag nor digest, so it would change unasked", shorten(image)), "write one, such as "+image+":v1.36.3")
		}
		return
	}
	version := kind.Kubernetes
	if version == "" {
		return
	}
	numbers := regexp.MustCompile(`^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`).FindStringSubmatch(version)
	if numbers == nil {
		c.add(path, fmt.Sprintf("%q is no version of Kubernetes", shorten(version)), "write three numbers, such as 1.36.3, or a node image, such as docker.io/kindest/node:v1.36.3")
		return
	}
	supported := KubernetesFor(istio)
	if minor := numbers[1] + "." + numbers[2]; len(supported) > 0 && !slices.Contains(supported, minor) {
		c.add(path, fmt.Sprintf("Istio %s does not support Kubernetes %s", istio, minor), "write a version of "+orList(supported))
	}
}

func (c *collector) nodes(path string, nodes []Node) {
	controlPlanes, workers := 0, 0
	for i, node := range nodes {
		at := fmt.Sprintf("%s[%d]", path, i)
		if node.Role == RoleWorker {
			workers++
		} else {
			controlPlanes++
		}
		if controlPlanes > 1 && node.Role != RoleWorker {
			c.add(at, "several control planes are planned, but not built yet", "write role: worker; a node without a role is a control plane")
		}
		c.locality(at+".locality", node.Locality)
		for key, value := range node.Labels {
			c.nodeLabel(join(at+".labels", key), key, value)
		}
	}
	if controlPlanes == 0 {
		c.add(path, "no node is a control plane", "write role: control-plane for one node")
	}
	if workers > maxWorkers {
		c.add(path, strconv.Itoa(workers)+" workers are too many for one host", fmt.Sprintf("write at most %d", maxWorkers))
	}
}

// nodeLabel checks a label that the kubelet sets on its own node, which it does with few of
// Kubernetes' own (k8s.io/kubelet/pkg/apis: KubeletLabels and their namespaces).
func (c *collector) nodeLabel(path, key, value string) {
	if !c.qualified(path, key) {
		return
	}
	if value != "" && !isLabelValue(value) {
		c.add(path, fmt.Sprintf("%q is no label value", shorten(value)), fixLabelValue)
		return
	}
	domain, _, _ := strings.Cut(key, "/")
	within := func(of string) bool { return domain == of || strings.HasSuffix(domain, "."+of) }
	switch {
	case key == LabelRegion || key == LabelZone:
		c.add(path, "a node's region and zone are said in its locality", "write locality: {region: ..., zone: ...} beside labels")
	case within("kubelet.kubernetes.io") || within("node.kubernetes.io"):
	case within("kubernetes.io") || within("k8s.io"):
		c.add(path, fmt.Sprintf("no node may set the label %s on itself", shorten(key)), "write a label with a domain of your own, or node.kubernetes.io/...")
	}
}
