// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"slices"
	"strings"

	"github.com/meshfed/meshfed/internal/version"
	"github.com/meshfed/meshfed/topology"
)

// Set is every image that one cluster of a mesh is made of.
type Set struct {
	// Node is the kind node image; it has Kubernetes' own images in it.
	Node string
	// Pilot and Proxy are Istio's control plane and its proxies.
	Pilot, Proxy string
	// MetalLBController and MetalLBSpeaker give addresses to load balancers.
	MetalLBController, MetalLBSpeaker string
	// Probe is what verify sends into the mesh.
	Probe string
}

// List is the set in a fixed order, the node image first, without what is empty.
func (s Set) List() []string {
	all := append([]string{s.Node}, s.Workloads()...)
	return slices.DeleteFunc(all, func(name string) bool { return name == "" })
}

// Workloads are the images that pods run: all but the node image, without what is empty.
func (s Set) Workloads() []string {
	all := []string{s.Pilot, s.Proxy, s.MetalLBController, s.MetalLBSpeaker, s.Probe}
	return slices.DeleteFunc(all, func(name string) bool { return name == "" })
}

// Published are the images of a topology's clusters as nodes and engines pull them: the
// published names, with spec.images.mirror in place of the registry. kubernetes is what a
// cluster's provider.kind.kubernetes says: a version, a full image reference, or nothing.
//
// A digest is part of a name only without a mirror: a mirror may hold what a bundle has
// pushed, whose content is the same and whose manifest is not.
func Published(t *topology.Topology, kubernetes string) Set {
	istio := t.IstioTag()
	set := Set{
		Node:              node(kubernetes),
		Pilot:             dockerHub + "/istio/pilot:" + istio,
		Proxy:             dockerHub + "/istio/proxyv2:" + istio,
		MetalLBController: quay + "/metallb/controller:" + MetalLB,
		MetalLBSpeaker:    quay + "/metallb/speaker:" + MetalLB,
		Probe:             Probe(),
	}
	if mirror := Mirror(t); mirror != "" {
		for _, name := range []*string{&set.Pilot, &set.Proxy, &set.MetalLBController, &set.MetalLBSpeaker, &set.Probe} {
			*name = On(mirror, *name)
		}
		if !isReference(kubernetes) {
			set.Node = On(mirror, set.Node)
		}
	}
	if own := t.Spec.Verify.Probe.Image; own != "" {
		set.Probe = own
	}
	return set
}

// All are the images of every kind cluster of a topology, each once, node images first.
func All(t *topology.Topology) []string {
	var nodes, others []string
	for _, kubernetes := range Versions(t) {
		set := Published(t, kubernetes)
		nodes = append(nodes, set.Node)
		others = set.Workloads()
	}
	return append(nodes, others...)
}

// Versions lists what the kind clusters of a topology say of Kubernetes, each once, in the
// order of the file; empty stands for the default.
func Versions(t *topology.Topology) []string {
	var found []string
	for i := range t.Spec.Clusters {
		kind := t.Spec.Clusters[i].Provider.Kind
		if kind == nil {
			continue
		}
		if !slices.ContainsFunc(found, func(v string) bool { return node(v) == node(kind.Kubernetes) }) {
			found = append(found, kind.Kubernetes)
		}
	}
	return found
}

// Mirror is spec.images.mirror as it stands before the names of images: host and path,
// without scheme; empty when there is none.
func Mirror(t *topology.Topology) string {
	host, path, _ := t.MirrorHost()
	if path != "" {
		host += "/" + path
	}
	return host
}

// On is an image's name on a mirror: the mirror replaces the registry, and a digest goes.
func On(mirror, image string) string {
	if at := strings.LastIndex(image, "@"); at >= 0 {
		image = image[:at]
	}
	return mirror + "/" + Path(image)
}

// Path is an image's name without its registry.
func Path(image string) string {
	first, rest, cut := strings.Cut(image, "/")
	if !cut || (!strings.ContainsAny(first, ".:") && first != "localhost") {
		return image // a name of Docker Hub written short
	}
	return rest
}

// Probe is the published name of the probe's image: that of the release that this program is.
func Probe() string { return version.ProbeImage() }

// node is the name of the node image of a release of Kubernetes.
func node(kubernetes string) string {
	if isReference(kubernetes) {
		return kubernetes
	}
	number := strings.TrimPrefix(kubernetes, "v")
	if number == "" {
		number = Kubernetes
	}
	name := dockerHub + "/kindest/node:v" + number
	if digest := nodeDigests()[number]; digest != "" {
		name += "@" + digest
	}
	return name
}

// isReference tells an image from a version.
func isReference(kubernetes string) bool { return strings.Contains(kubernetes, "/") }
